#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule memory_limit_missing{
    .id = "DM0801",
    .name = "memory-limit-missing",
    .severity = Severity::high,
    .area = Area::operations,
    .summary = "services without a memory limit",
    .rationale = "One service with a leak takes the memory of the host; the kernel then kills what it finds, often "
                 "the database.",
    .fix = "Set `deploy.resources.limits.memory` (Compose applies it without Swarm).",
    .checks = "54 O10 O36",
    .bad = R"(services:
  app:  # <- DM0801
    image: example/app:1.0
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    deploy: {resources: {limits: {memory: 512m}}}
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    mem_limit: 512m
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          blanket(input, report, [&](ServiceId id, const compose::Service& service) { return !input.wiring.one_shot[id] && !service.limits.memory; },
                  [&](const std::vector<ServiceId>& ids) { return fmt::format("{} no memory limit: {}", of_all(input, ids.size(), "has", "have"), join_names(input, ids)); });
        },
};

}  // namespace dm::audit::rules
