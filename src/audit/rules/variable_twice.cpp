#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/rules/helpers.hpp"
#include "audit/rules/rules.hpp"

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

constinit const Rule variable_twice{
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
            // The winner is known; the same list holds what it replaced, which the model has dropped.
            for (const auto& variable : service.environment) {
              if (variable.from_env_file || !variable.where) continue;
              const auto& texts = input.project.texts;
              const auto& lines = texts.lines(variable.where.file);
              const std::string_view content = texts.at(variable.where.file).content;
              auto number = texts.position(variable.where).line;
              const auto row = [&](std::size_t line) {
                const auto span = lines.line(line);
                return content.substr(span.begin, span.size());
              };
              const auto own = item_name(row(number));
              if (own == 0) continue;
              const auto indent = row(number).find('-');
              while (--number > 0) {
                const auto line = row(number);
                const auto first = line.find_first_not_of(' ');
                if (first == std::string_view::npos || line[first] == '#') continue;
                if (first < indent || (first == indent && line[first] != '-')) break;
                const auto at = item_name(line);
                if (first != indent || at == 0 || !line.substr(at).starts_with(variable.name)) continue;
                if (line.substr(at + variable.name.size()).substr(0, 1) != "=") continue;
                const auto begin = lines.line(number).begin + static_cast<std::uint32_t>(at);
                const auto end = begin + static_cast<std::uint32_t>(variable.name.size());
                report.add({variable.where.file, {begin, end}}, id,
                           fmt::format("{} of '{}' is set again below; only the last counts", variable.name,
                                       service.name));
              }
            }
          });
        },
};

}  // namespace dm::audit::rules
