#include <fmt/format.h>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule image_without_digest{
    .id = "DM0710",
    .name = "image-without-digest",
    .severity = Severity::info,
    .area = Area::operations,
    .summary = "images are named by tag, not by content",
    .rationale = "A tag can be moved: a restore or a second host may get other content under the same name. A digest "
                 "names the content itself.",
    .fix = "Write `name:tag@sha256:...`, and let a bot raise it; or keep what `datamancy config --lock-image-digests -o lock.yaml` "
           "writes as a second `-f`.",
    .checks = "41",
    .bad = R"(services:
  app:  # <- DM0710
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
)",
    .look_alike = R"(services:
  own:
    build: .
    image: own:1.0
  moving:
    image: example/app:latest
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          blanket(
              input, report,
              [](ServiceId, const compose::Service& service) {
                if (service.image.value.empty() || service.build != nullptr) return false;
                const auto name = product::split_image(service.image.value);
                // Without a fixed tag it has a finding of its own.
                return name.digest.empty() && !name.tag.empty() && name.tag != "latest";
              },
              [&](const std::vector<ServiceId>& services) {
                return fmt::format("{} {} a tag that can be moved: {}", services.size(),
                                   services.size() == 1 ? "image has" : "images have", join_names(input, services));
              });
        },
};

}  // namespace dm::audit::rules
