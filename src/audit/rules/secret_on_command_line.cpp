#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {

constinit const Rule secret_on_command_line{
    .id = "DM0501",
    .name = "secret-on-command-line",
    .severity = Severity::high,
    .area = Area::security,
    .summary = "a secret stands on a command line",
    .rationale = "Arguments are readable by every process of the container and by `docker inspect`, and land in "
                 "process lists and logs.",
    .fix = "Pass it by a file under /run/secrets, or in the product's configuration file.",
    .checks = "112",
    .bad = R"(services:
  cache:
    image: valkey/valkey:8
    command: valkey-server --requirepass ${CACHE_PASSWORD}  # <- DM0501
-- .env.example
CACHE_PASSWORD=
)",
    .good = R"(services:
  cache:
    image: valkey/valkey:8
    command: valkey-server /etc/valkey.conf
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    command: app --password-file /run/secrets/db --port ${PORT:-80}
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto look = [&](const compose::Value* node, std::string_view what) {
              if (node == nullptr) return;
              const auto scan = [&](const compose::Value& value) {
                if (value.segments == nullptr) return false;
                for (const auto& segment : *value.segments) {
                  if (!sensitive::secret_name(segment.variable)) continue;
                  report.add(value.where, id, fmt::format("{} of '{}' carries the secret {} in its arguments", what, service.name, segment.variable));
                  return true;
                }
                return false;
              };
              if (scan(*node) || !node->is_sequence()) return;
              for (const auto* item : *node->items)
                if (scan(*item)) return;
            };
            look(service.command_node, "command");
            look(service.entrypoint_node, "entrypoint");
            look(service.node->at({"healthcheck", "test"}), "healthcheck");
          });
        },
};

}  // namespace dm::audit::rules
