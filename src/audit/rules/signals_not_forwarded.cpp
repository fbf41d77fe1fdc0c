#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule signals_not_forwarded{
    .id = "DM0809",
    .name = "signals-not-forwarded",
    .severity = Severity::low,
    .area = Area::operations,
    .summary = "a shell in front of the service keeps the stop signal for itself",
    .rationale = "As process 1 a shell passes no signal on: the stop waits for its ten seconds, then everything is "
                 "killed. Work under way is lost, and each restart and deployment takes that much longer.",
    .fix = "Write `exec` before the last command of the line, so that the service takes the place of the shell.",
    .checks = "126",
    .bad = R"(services:
  app:
    image: example/app:1.0
    command: sh -c "./migrate && ./serve --port 8080"  # <- DM0809
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    command: sh -c "./migrate && exec ./serve --port 8080"
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    command: sh -c "./serve --port 8080"
  job:
    image: example/app:1.0
    restart: "no"
    command: sh -c "./migrate && ./seed"
    profiles: [setup]
  loop:
    image: example/app:1.0
    init: true
    command: sh -c "while true; do ./once; sleep 60; done"
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (input.wiring.one_shot[id] || service.init.value_or(false)) return;
            const auto look = [&](const std::vector<compose::Text>& words) {
              if (words.size() < 3 || words.size() > 4) return false;
              const auto shell = sources::file_name(words[0].value);
              if ((shell != "sh" && shell != "bash" && shell != "ash") || (words[1].value != "-c" && words[1].value != "-ec" && words[1].value != "-lc")) return false;
              const auto script = words[2].value;
              // Loops and traps are programs of their own; a single command is run in place of the shell by most of them.
              for (const std::string_view word : {"exec ", "trap ", "wait", "while ", "for ", "until ", "tail -f", "sleep inf"})
                if (script.find(word) != std::string_view::npos) return false;
              if (script.find("&&") == std::string_view::npos && script.find(';') == std::string_view::npos && script.find('\n') == std::string_view::npos) return false;
              const bool own = words[2].node != nullptr && words[2].node->where;
              report.add(own ? words[2].where() : place(service, "command"), id, fmt::format("the shell of '{}' does not pass the stop signal on: it is killed after its grace period", service.name));
              return true;
            };
            if (!look(service.entrypoint) && service.entrypoint_node == nullptr) look(service.command);
          });
        },
};

}  // namespace dm::audit::rules
