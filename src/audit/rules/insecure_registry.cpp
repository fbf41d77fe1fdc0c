#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule insecure_registry{
    .rule = {
        .id = "DM1106",
        .name = "insecure-registry",
        .severity = Severity::medium,
        .area = Area::security,
        .summary = "images may come from a registry without TLS",
        .rationale = "Who sits on the way can replace the image, and so run what they like on this machine.",
        .fix = "Give the registry a certificate and remove it from `insecure-registries`.",
        .checks = "87",
        .bad = R"(name: shop  # <- DM1106
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"insecure_registries": ["registry.lan:5000"]}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"insecure_registries": ["127.0.0.1:5000"]}}
)",
        .minutes = 30,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            if (std::ranges::any_of(facts.engine.insecure_registries, [](const std::string& name) { return !name.starts_with("127.") && !name.starts_with("localhost"); })) report.add(project_place(input), wiring::kNone, "the engine trusts registries without TLS", fmt::format("{}", fmt::join(facts.engine.insecure_registries, ", ")));
          });
        },
};

}  // namespace dm::audit::rules
