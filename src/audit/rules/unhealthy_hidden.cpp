#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {
namespace {

/// `docker ps`, `docker compose ps`, `docker-compose ps`.
bool lists_containers(const ScriptCommand& command) {
  if (command.name() != "docker" && command.name() != "docker-compose") return false;
  return std::ranges::any_of(command.words, [](const auto& word) { return word.text == "ps"; });
}

/// grep leaves out lines with `pattern`.
bool leaves_out(const ScriptCommand& command, std::string_view pattern) {
  if (command.name() != "grep" && command.name() != "egrep") return false;
  bool inverted = false;
  bool found = false;
  for (const auto& word : command.words) {
    auto text = std::string_view(word.text);
    const bool letters = text.size() > 1 && text[0] == '-' && text[1] != '-';
    inverted = inverted || text == "--invert-match" || (letters && text.find('v') != std::string_view::npos);
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    found = found || text == pattern;
  }
  return inverted && found;
}

}  // namespace

extern constinit const Rule unhealthy_hidden{
    .id = "DM0310",
    .name = "unhealthy-hidden",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a script's filter hides unhealthy containers",
    .rationale = "The status of a sick container is `Up 3 hours (unhealthy)`: a filter for lines without `Up` never "
                 "shows it, and the check passes.",
    .fix = "Ask for them: `docker ps -a --filter health=unhealthy`, or look at `Health` of `docker compose ps "
           "--format json`.",
    .checks = "O35 O53",
    .bad = R"x(services:
  app:
    image: example/app:1.0
-- check.sh
#!/bin/sh
docker compose ps | grep -v "Up (healthy)" | grep -v "Up"  # <- DM0310
)x",
    .good = R"x(services:
  app:
    image: example/app:1.0
-- check.sh
#!/bin/sh
docker ps -a --filter health=unhealthy --filter status=exited
)x",
    .look_alike = R"x(services:
  app:
    image: example/app:1.0
-- check.sh
#!/bin/sh
docker compose ps | grep -v "(healthy)"
docker compose ps | grep unhealthy
cat list | grep -v Up
)x",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& line : script_lines(input)) {
            if (line.text.find("docker") == std::string::npos || line.text.find("grep") == std::string::npos) continue;
            bool piped = false;
            for (const auto& command : commands(line.text)) {
              piped = lists_containers(command) || (piped && command.after == "|");
              if (!piped || !leaves_out(command, "Up")) continue;
              const auto& last = command.words.back();
              const auto from = command.words.front().at;
              report.add(line.place(from, last.at + last.size - from), wiring::kNone,
                         "containers that are up and unhealthy are filtered out with the healthy ones");
            }
          }
        },
};

}  // namespace dm::audit::rules
