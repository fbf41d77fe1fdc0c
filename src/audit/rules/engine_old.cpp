#include "audit/rules/live.hpp"

namespace dm::audit::rules {

extern constinit const LiveRule engine_old{
    .rule = {
        .id = "DM1115",
        .name = "engine-old",
        .severity = Severity::low,
        .area = Area::security,
        .summary = "an engine that gets no more fixes from its makers",
        .rationale = "Docker mends security holes in the current version and the one before. Debian mends its own older package for the life of the release.",
        .fix = "Update the engine; `live-restore` keeps the containers running meanwhile.",
        .checks = "84",
        .bad = R"(name: shop  # <- DM1115
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "version": "20.10.24"}}
)",
        .good = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Docker", "version": "28.2.2"}}
)",
        .look_alike = R"(name: shop
services:
  app:
    image: example/app:1.0
-- facts.json
{"datamancy_facts": 1, "engine": {"product": "Podman", "version": "4.3.1"}}
)",
        .minutes = 30,
        .check = files_say_nothing,
    },
    .look =
        [](const LiveInput& input, Report& report) {
          with_facts(input, [&](const facts::Facts& facts) {
            const auto major = std::strtol(facts.engine.version.c_str(), nullptr, 10);
            if (facts.engine.product != "Docker" || major <= 0 || major >= 25) return;
            auto& finding = report.add(project_place(input), wiring::kNone, fmt::format("engine {} is no longer maintained by Docker", facts.engine.version));
            if (facts.engine.version.find("dfsg") != std::string::npos) finding.severity = Severity::info;  // Debian maintains its own
          });
        },
};

}  // namespace dm::audit::rules
