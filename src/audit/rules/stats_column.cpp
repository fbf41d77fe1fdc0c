#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {

extern constinit const Rule stats_column{
    .id = "DM0810",
    .name = "stats-column",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a script reads the wrong column of docker stats",
    .rationale = "Its columns are split at blanks: the third is the processor's share, the fourth an amount like "
                 "`1.2GiB`, the seventh the memory's share. A comparison of the fourth with a percentage is never "
                 "true, so nobody is told.",
    .fix = "Say what you want: `docker stats --no-stream --format '{{.Name}} {{.MemPerc}}'`.",
    .checks = "O51 O52",
    .bad = R"(services:
  app:
    image: example/app:1.0
-- watch.sh
#!/bin/sh
docker stats --no-stream | awk '$4 ~ /%/ {gsub(/%/, "", $4); if ($4 > 80) print $0}'  # <- DM0810
)",
    .good = R"(services:
  app:
    image: example/app:1.0
-- watch.sh
#!/bin/sh
docker stats --no-stream --format '{{.Name}} {{.MemPerc}}' | awk '{gsub(/%/, "", $2); if ($2 > 80) print $1}'
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
-- watch.sh
#!/bin/sh
docker stats --no-stream | awk '{gsub(/%/, "", $7); if ($7 > 80) print $2}'
docker stats --no-stream | awk '{print $2, $4}'
df -h | awk '$4 ~ /%/'
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          for (const auto& line : script_lines(input)) {
            if (line.text.find("stats") == std::string::npos || line.text.find("awk") == std::string::npos) continue;
            bool piped = false;
            for (const auto& command : commands(line.text)) {
              if (command.name() == "docker") {
                const auto stats = [](const auto& word) { return word.text == "stats"; };
                const auto format = [](const auto& word) { return word.text.starts_with("--format"); };
                piped = std::ranges::any_of(command.words, stats) && std::ranges::none_of(command.words, format);
                continue;
              }
              piped = piped && command.after == "|";
              if (!piped || (command.name() != "awk" && command.name() != "gawk")) continue;
              for (const auto& word : command.words)
                if (word.text.find("$4") != std::string::npos && word.text.find('%') != std::string::npos)
                  report.add(line.place(word.at, word.size), wiring::kNone,
                             "$4 of `docker stats` is an amount of memory, never a percentage: this never matches");
            }
          }
        },
};

}  // namespace dm::audit::rules
