#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

namespace dm::audit::rules {

constinit const Rule image_latest_tag{
    .id = "DM0701",
    .name = "image-latest-tag",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "an image without a fixed version",
    .rationale = "The next pull brings another version, perhaps with a migration that cannot be undone, and a "
                 "restore cannot find the old one.",
    .fix = "Name a version.",
    .checks = "40",
    .bad = R"(services:
  app:
    image: example/app:latest  # <- DM0701
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  own:
    build: .
    image: own
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.image || service.build != nullptr || service.image.value.empty()) return;
            const auto name = product::split_image(service.image.value);
            if (!name.digest.empty() || (!name.tag.empty() && name.tag != "latest")) return;
            report.add(service.image.where(), id, fmt::format("'{}' runs whatever {} is today", service.name, service.image.value));
          });
        },
};

}  // namespace dm::audit::rules
