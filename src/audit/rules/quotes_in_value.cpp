#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// `NAME="value"` as an item of a list that has no quotes of YAML around it.
bool quoted(const compose::EnvVar& variable, std::string_view source) {
  const auto value = variable.value.value;
  if (value.size() < 2 || (value.front() != '"' && value.front() != '\'') || value.back() != value.front()) return false;
  if (value.substr(1, value.size() - 2).find(value.front()) != std::string_view::npos) return false;  // JSON, a list of quoted words
  return source.starts_with(variable.name) && source.substr(variable.name.size()).starts_with('=');
}

}  // namespace

extern constinit const Rule quotes_in_value{
    .id = "DM0117",
    .name = "quotes-in-value",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "quotes in an environment list become part of the value",
    .rationale = "In `- NAME=\"value\"` the quotes are no syntax: neither YAML nor Compose takes them off, and the program gets them. A path, a password or a "
                 "number with quotes around it is another one.",
    .fix = "Leave the quotes out, put them around the whole item (`- \"NAME=value\"`), or write the map form `NAME: \"value\"`.",
    .checks = "O31",
    .bad = R"(services:
  app:
    image: example/app:1
    environment:
      - LOG="warn,app=debug"  # <- DM0117
      - TITLE=plain
      - 'OTHER="kept"'
)",
    .good = R"(services:
  app:
    image: example/app:1
    environment:
      - LOG=warn,app=debug
)",
    .look_alike = R"(services:
  app:
    image: example/app:1
    env_file: [app.env]
    environment:
      - "LOG=warn"
      - WORDS="one" "two"
      - HALF="open
      - JSON=["a","b"]
  map:
    image: example/map:1
    environment:
      LOG: "warn"
      QUOTED: '"on purpose"'
-- app.env
TITLE="taken off here"
)",
    .minutes = 1,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            std::vector<Location> where;
            std::string names;
            for (const auto& variable : service.environment) {
              if (variable.from_env_file || !variable.where || !quoted(variable, input.project.texts.text(variable.where))) continue;
              if (where.size() < 6) names += fmt::format("{}{}", where.empty() ? "" : ", ", variable.name);
              where.push_back(variable.where);
            }
            if (where.empty()) return;
            const bool one = where.size() == 1;
            report.add_all(std::move(where), {id}, fmt::format("'{}' gets {} with the quotes around {}", service.name, names, one ? "it" : "them"));
          });
        },
};

}  // namespace dm::audit::rules
