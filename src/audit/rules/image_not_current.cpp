#include "audit/rules/live.hpp"

namespace dm::audit::rules {
namespace {

/// Podman writes names out: "docker.io/library/postgres:17" for "postgres:17", "localhost/app:latest" for an "app" that was built here.
bool same_name(std::string_view running, std::string_view wanted) {
  if (running == wanted) return true;
  for (const std::string_view prefix : {"localhost/", "docker.io/library/", "docker.io/"})
    if (running.starts_with(prefix)) {
      running.remove_prefix(prefix.size());
      break;
    }
  return running == wanted || (running.ends_with(":latest") && running.substr(0, running.size() - 7) == wanted);
}

}  // namespace

extern constinit const LiveRule image_not_current{
    .rule = {
        .id = "DM1003",
        .name = "image-not-current",
        .severity = Severity::medium,
        .area = Area::operations,
        .summary = "the running image is not the one that the files name",
        .rationale = "The container runs an image that its name no longer means (it was pulled or built again meanwhile), or another name altogether. Security updates that were pulled are not in use, and a recreation changes more than expected.",
        .fix = "Recreate it at a time of your choice (`datamancy up SERVICE`), or pin the digest that runs.",
        .checks = "48",
        .bad = R"(services:
  app:  # <- DM1003
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}], "images": [{"name": "example/app:1.0", "id": "sha256:2"}]}
)",
        .good = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "example/app:1.0", "image_id": "sha256:1"}], "images": [{"name": "example/app:1.0", "id": "sha256:1"}]}
)",
        .look_alike = R"(services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "containers": [{"name": "shop-app-1", "service": "app", "state": "running", "image": "docker.io/example/app:1.0", "image_id": "sha256:1"}], "images": [{"name": "example/app:1.0", "id": ""}]}
)",
        .minutes = 5,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          each_container(input, [&](ServiceId id, const compose::Service& service, const facts::Container& container) {
            if (!service.image || service.build != nullptr) return;
            if (!same_name(container.image, service.image.value) && !container.image.starts_with("sha256:")) {
              report.add(service.image.where(), id, fmt::format("'{}' runs image '{}', the files say '{}'", container.name, container.image, service.image.value));
              return;
            }
            const auto* now = input.facts->image(service.image.value);
            if (now == nullptr || now->id.empty() || now->id == container.image_id) return;
            report.add(service.where, id, fmt::format("'{}' runs an older image than '{}' is now", container.name, service.image.value),
                       fmt::format("runs {}, the name means {}", container.image_id.substr(0, 19), now->id.substr(0, 19)));
          });
        },
};

}  // namespace dm::audit::rules
