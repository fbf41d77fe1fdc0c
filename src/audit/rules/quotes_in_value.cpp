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

/// `${ADDRESS:-"127.0.0.1"}` without a value: a default is taken as it stands, with its quotes.
bool quoted_default(const Input& input, const compose::EnvVar& variable) {
  const auto* node = variable.value.node;
  if (node == nullptr || node->segments == nullptr || variable.value.value.starts_with('[') || variable.value.value.starts_with('{')) return false;  // JSON wants them
  return std::ranges::any_of(*node->segments, [&](const auto& segment) {
    if (segment.kind != compose::Segment::Kind::fallback || segment.defined || !segment.where) return false;
    auto text = input.project.texts.text(segment.where);
    if (!text.starts_with("${") || !text.ends_with('}')) return false;
    text = text.substr(2, text.size() - 3);
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) return false;
    const auto word = text.substr(dash + 1);
    return word.size() > 1 && (word.front() == '"' || word.front() == '\'') && word.back() == word.front() && word.substr(1, word.size() - 2).find(word.front()) == std::string_view::npos;
  });
}

/// `- HOST= vpn.example.org`: what stands after `=` is the value, the blank as well. Lists of options and sentences do not mind.
bool blank_before(const compose::EnvVar& variable, std::string_view source) {
  const auto value = variable.value.value;
  if (value.size() < 2 || value[0] != ' ' || value[1] == ' ' || value[1] == '-' || value.find(' ', 1) != std::string_view::npos) return false;
  if (source.starts_with('"') || source.starts_with('\'')) source.remove_prefix(1);
  return source.starts_with(variable.name) && source.substr(variable.name.size()).starts_with("= ");
}

/// The name that `NAME-${NAME}`, `NAME:value` or `NAME value` as an item of a list means to set; "" where the item is sound.
std::string_view without_equals(const compose::EnvVar& variable, std::string_view source) {
  if (variable.value.node == nullptr || variable.value.node->kind != compose::Kind::null) return {};
  if (source.starts_with('"') || source.starts_with('\'')) source = source.substr(1, source.size() - 2);
  const auto end = std::ranges::find_if(source, [](char c) { return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_'; });
  const auto name = source.substr(0, static_cast<std::size_t>(end - source.begin()));
  // `NAME` takes it from the shell, `$ITEM` is an item as a whole
  if (name.empty() || name.size() == source.size() || source.find('=') != std::string_view::npos) return {};
  return source.find('$') != std::string_view::npos || source[name.size()] == ':' || source[name.size()] == ' ' ? name : std::string_view();
}

}  // namespace

extern constinit const Rule quotes_in_value{
    .id = "DM0117",
    .name = "quotes-in-value",
    .severity = Severity::medium,
    .area = Area::architecture,
    .summary = "an item of an environment list is not read as it looks: quotes, a blank, no '='",
    .rationale = "In `- NAME=\"value\"` the quotes are no syntax: neither YAML nor Compose takes them off, and the program gets them. A path, a password or a "
                 "number with quotes around it is another one. `- NAME-value` and `- NAME:value` set no NAME at all: without `=` the whole item is "
                 "taken for the name of a variable of the shell.",
    .fix = "Write `- NAME=value`, with `=` and without quotes inside; put quotes around the whole item (`- \"NAME=value\"`), or write the map form "
           "`NAME: \"value\"`.",
    .checks = "O31",
    .bad = R"(services:
  app:
    image: example/app:1
    environment:
      - LOG="warn,app=debug"  # <- DM0117
      - TITLE=plain
      - 'OTHER="kept"'
  broker:
    image: example/broker:1
    environment:
      LISTEN: outside://${HOST_ADDRESS:-"127.0.0.1"}:9092  # <- DM0117
  api:
    image: example/api:1
    environment:
      - KEY-${KEY:-none}  # <- DM0117
      - "MODE:fast"  # <- DM0117
      - HOST= api.example.org  # <- DM0117
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
      - ORIGINS=[${ORIGIN:-"http://127.0.0.1"}]
      - FROM_THE_SHELL
      - ${EXTRA_ITEM:-}
      - odd.name-1
      - OPTIONS= -Xmx1g
      - EMPTY= 
      - TITLE= Our own pages
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
              if (variable.from_env_file || !variable.where || (!quoted(variable, input.project.texts.text(variable.where)) && !quoted_default(input, variable))) continue;
              if (where.size() < 6) names += fmt::format("{}{}", where.empty() ? "" : ", ", variable.name);
              where.push_back(variable.where);
            }
            for (const auto& variable : service.environment) {
              if (variable.from_env_file || !variable.where) continue;
              if (blank_before(variable, input.project.texts.text(variable.where)))
                report.add(variable.where, id, fmt::format("'{}' gets {} with a blank before its value", service.name, variable.name), {}, fmt::format("write `{}=` and the value without a blank between them", variable.name));
              const auto name = without_equals(variable, input.project.texts.text(variable.where));
              if (!name.empty()) report.add(variable.where, id, fmt::format("'{}' gets no {}: the item has no '='", service.name, name));
            }
            if (where.empty()) return;
            const bool one = where.size() == 1;
            report.add_all(std::move(where), {id}, fmt::format("'{}' gets {} with the quotes around {}", service.name, names, one ? "it" : "them"));
          });
        },
};

}  // namespace dm::audit::rules
