#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Its settings were read: what they do not say is not said.
bool readable(const Input& input, ServiceId id) {
  return std::ranges::any_of(input.wiring.config_files, [&](const auto& config) { return config.service == id && config.file != sources::kNoFile; });
}

}  // namespace

extern constinit const Rule cache_without_limit{
    .id = "DM0811",
    .name = "cache-without-limit",
    .severity = Severity::low,
    .area = Area::operations,
    .summary = "a cache that may grow until the kernel ends it",
    .rationale = "Valkey and Redis keep everything until `maxmemory`, which is unlimited by default. Whatever grows "
                 "without end ends in an out-of-memory kill of the whole cache, or of a neighbour on the host.",
    .fix = "Set `--maxmemory` to about three quarters of the memory limit, with `--maxmemory-policy allkeys-lru` "
           "for a cache, and `noeviction` for queues and sessions that must not be lost.",
    .checks = "O79",
    .bad = R"(services:
  cache:  # <- DM0811
    image: valkey/valkey:8
    command: valkey-server --save ""
)",
    .good = R"(services:
  cache:
    image: valkey/valkey:8
    command: valkey-server --save "" --maxmemory 192mb --maxmemory-policy allkeys-lru
)",
    .look_alike = R"(services:
  cache:
    image: valkey/valkey:8
    command: ["valkey-server", "/etc/valkey.conf"]
    volumes: ["./valkey.conf:/etc/valkey.conf:ro"]
  sentinel:
    image: bitnami/redis-sentinel:7.2
-- valkey.conf
maxmemory 192mb
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* store = input.wiring.datastore(id);
            if (store == nullptr || store->kind != "valkey") return;
            const auto says = [](std::string_view text) { return text.find("maxmemory") != std::string_view::npos; };
            for (const auto& word : service.command)
              if (says(word.value)) return;
            for (const auto& word : service.entrypoint)
              if (says(word.value)) return;
            for (const auto& variable : service.environment)
              if (variable.name.find("MAXMEMORY") != std::string_view::npos || says(variable.value.value) || variable.name == "REDIS_EXTRA_FLAGS") return;
            bool settings = false;  // a file that we cannot see may hold it
            for (const auto& mount : service.mounts) settings = settings || mount.target.ends_with(".conf") || mount.target.find("/conf") != std::string_view::npos;
            for (const auto& config : input.wiring.config_files)
              if (config.service == id && config.file != sources::kNoFile && says(input.project.texts.at(config.file).content)) return;
            if (settings && !readable(input, id)) return;
            report.add(service.where, id, fmt::format("'{}' has no maxmemory: it grows until it is killed", service.name),
                       service.limits.memory ? fmt::format("its container may use {} MB", *service.limits.memory >> 20U) : "");
          });
        },
};

}  // namespace dm::audit::rules
