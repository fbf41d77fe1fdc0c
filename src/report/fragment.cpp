#include "report/fragment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json.hpp"

namespace dm::report {
namespace {

/// A key of YAML: plain where it can be.
std::string key(std::string_view name) {
  const bool safe = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  const bool letter = !name.empty() && ((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z'));
  return safe && letter ? std::string(name) : fmt::format("\"{}\"", name);
}

using Line = std::string (*)(const audit::Input& input, audit::ServiceId id);

std::string memory(const audit::Input& input, audit::ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  if (product == nullptr || !product->memory_mb) return {};
  return fmt::format("    deploy: {{resources: {{limits: {{memory: {}M}}}}}}  # to start from, for {}\n", *product->memory_mb, product->name);
}

std::string processors(const audit::Input& input, audit::ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  if (product == nullptr || !product->cpus) return {};
  return fmt::format("    deploy: {{resources: {{limits: {{cpus: \"{:g}\"}}}}}}  # to start from, for {}\n", *product->cpus, product->name);
}

std::string logging(const audit::Input&, audit::ServiceId) { return "    logging: *default-logging\n"; }
std::string restart(const audit::Input&, audit::ServiceId) { return "    restart: unless-stopped\n"; }
std::string processes(const audit::Input&, audit::ServiceId) { return "    deploy: {resources: {limits: {pids: 512}}}\n"; }
std::string privileges(const audit::Input&, audit::ServiceId) { return "    security_opt: [\"no-new-privileges:true\"]\n"; }

std::string healthcheck(const audit::Input& input, audit::ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  if (product == nullptr || product->health.empty()) return {};
  std::string test;
  for (const auto& word : product->health.front().test) {
    if (!test.empty()) test += ", ";
    json_quote(test, word);
  }
  const auto& start = product->health.front().start_period;
  return fmt::format("    healthcheck: {{test: [{}]{}}}\n", test, start.empty() ? "" : ", start_period: " + start);
}

struct Form {
  std::string_view rule;
  std::string_view head;
  Line line;
};
// json-file, 10m, 3 files, compressed: item O11 of docs/origin.md.
constexpr Form kForms[] = {
    {"DM0304", "", healthcheck},
    {"DM0801", "", memory},
    {"DM0802",
     "x-logging: &default-logging\n  driver: json-file\n  options: {max-size: \"10m\", max-file: \"3\", compress: \"true\"}\n", logging},
    {"DM0803", "", restart},
    {"DM0805", "", processors},
    {"DM0806", "", processes},
    {"DM0602", "", privileges},
};

}  // namespace

std::string fragment(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services) {
  const auto form = std::ranges::find(kForms, rule.id, &Form::rule);
  if (form == std::end(kForms) || services.empty()) return {};
  std::string body;
  std::string unknown;
  for (const auto id : services) {
    const auto name = input.project.services[id].name;
    if (const auto line = form->line(input, id); !line.empty()) body += fmt::format("  {}:\n{}", key(name), line);
    else unknown += fmt::format("  # {}: nothing known of this image; look it up, or measure\n", name);
  }
  if (body.empty()) return {};
  return fmt::format("{}services:\n{}{}", form->head, body, unknown);
}

}  // namespace dm::report
