#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// A line of a list: "      - NAME=value". Place of NAME in the line, 0 for none.
std::size_t item_name(std::string_view line) {
  const auto dash = line.find_first_not_of(' ');
  if (dash == std::string_view::npos || !line.substr(dash).starts_with("- ")) return 0;
  const auto at = line.find_first_not_of(" '\"", dash + 1);
  return at == std::string_view::npos ? 0 : at;
}

}  // namespace

extern constinit const Rule variable_twice{
    .id = "DM0120",
    .name = "variable-twice",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "a service sets the same variable twice",
    .rationale = "The last one counts and nothing is said. Whoever changes the first sees no effect.",
    .fix = "Remove one of them.",
    .checks = "53",
    .bad = R"(services:
  app:
    image: example/app:1.0
    environment:
      - MODE=test  # <- DM0120
      - PORT=80
      - MODE=production
)",
    .good = R"(services:
  app:
    image: example/app:1.0
    environment:
      - MODE=production
      - PORT=80
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    environment:
      - MODE=a
      - MODE_TWO=a
    labels:
      - MODE=c
  other:
    image: example/app:1.0
    environment:
      - MODE=b
)",
    .minutes = 2,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            // The winners are known; the same list holds above each what it replaced, which the model has dropped.
            std::map<std::pair<sources::FileId, std::size_t>, std::string_view> winners;
            for (const auto& variable : service.environment)
              if (!variable.from_env_file && variable.where) winners.emplace(std::pair(variable.where.file, input.project.texts.lines(variable.where.file).number(variable.where.span.begin)), variable.name);
            std::pair<sources::FileId, std::size_t> read{sources::kNoFile, 0};  // the list was read up from below to this line
            for (auto winner = winners.rbegin(); winner != winners.rend(); ++winner) {
              const auto file = winner->first.first;
              if (read.first == file && winner->first.second >= read.second) continue;
              const auto& lines = input.project.texts.lines(file);
              const std::string_view content = input.project.texts.at(file).content;
              const auto row = [&](std::size_t line) {
                const auto span = lines.line(line);
                return content.substr(span.begin, span.size());
              };
              auto number = winner->first.second;
              read = winner->first;
              if (item_name(row(number)) == 0) continue;
              const auto indent = row(number).find('-');
              std::set<std::string_view> below;
              for (; number > 0; read.second = number--) {
                const auto line = row(number);
                const auto first = line.find_first_not_of(' ');
                if (first == std::string_view::npos || line[first] == '#') continue;
                if (first < indent || (first == indent && line[first] != '-')) break;
                const auto at = item_name(line);
                if (first != indent || at == 0) continue;
                if (const auto known = winners.find({file, number}); known != winners.end()) {
                  below.insert(known->second);
                  continue;
                }
                const auto name = line.substr(at, line.find('=', at) - at);
                if (!below.contains(name) || at + name.size() >= line.size()) continue;
                const auto begin = lines.line(number).begin + static_cast<std::uint32_t>(at);
                report.add({file, {begin, begin + static_cast<std::uint32_t>(name.size())}}, id,
                           fmt::format("{} of '{}' is set again below; only the last counts", name, service.name));
              }
            }
          });
        },
};

}  // namespace dm::audit::rules
