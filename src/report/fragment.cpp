#include "report/fragment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>

#include "base/json.hpp"
#include "sensitive/sensitive.hpp"

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

// One key each, so that the diffs of several rules do not write the same one twice.
std::string short_memory(const audit::Input& input, audit::ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  return product == nullptr || !product->memory_mb ? std::string() : fmt::format("mem_limit: {}m", *product->memory_mb);
}
std::string short_processors(const audit::Input& input, audit::ServiceId id) {
  const auto* product = input.wiring.product_of[id];
  return product == nullptr || !product->cpus ? std::string() : fmt::format("cpus: {:g}", *product->cpus);
}
std::string short_logging(const audit::Input&, audit::ServiceId) {
  return "logging: {driver: json-file, options: {max-size: \"10m\", max-file: \"3\", compress: \"true\"}}";
}
std::string short_processes(const audit::Input&, audit::ServiceId) { return "pids_limit: 512"; }

/// The line of the fragment without its place in it.
template <Line line>
std::string bare(const audit::Input& input, audit::ServiceId id) {
  const auto text = line(input, id);
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? std::string() : text.substr(begin, text.find('\n') - begin);
}

struct Form {
  std::string_view rule;
  std::string_view head;
  Line line;
  Line written;                                     ///< for the service in its own file
  std::array<std::string_view, 2> instead;          ///< keys that say it already, or would contradict
};
// json-file, 10m, 3 files, compressed: item O11 of docs/origin.md.
constexpr Form kForms[] = {
    {"DM0304", "", healthcheck, bare<healthcheck>, {"healthcheck"}},
    {"DM0801", "", memory, short_memory, {"mem_limit", "deploy"}},
    {"DM0802",
     "x-logging: &default-logging\n  driver: json-file\n  options: {max-size: \"10m\", max-file: \"3\", compress: \"true\"}\n", logging, short_logging, {"logging"}},
    {"DM0803", "", restart, bare<restart>, {"restart", "deploy"}},
    {"DM0805", "", processors, short_processors, {"cpus", "deploy"}},
    {"DM0806", "", processes, short_processes, {"pids_limit", "deploy"}},
    {"DM0602", "", privileges, bare<privileges>, {"security_opt"}},
};

/// A service in block form, where a line can be put below its name.
struct Place {
  std::size_t line = 0;    ///< 1-based, of its name
  std::string_view name;   ///< the whole line
  std::string_view first;  ///< the line below it
  std::size_t indent = 0;  ///< of what stands below it
  bool last = false;       ///< the file ends with `first`, without a line end
};

std::optional<Place> place_of(const compose::Project& project, const compose::Service& service) {
  const auto& text = project.texts.at(service.where.file).content;
  const auto& lines = project.texts.lines(service.where.file);
  const auto line_at = [&](std::size_t number) { return std::string_view(text).substr(lines.line(number).begin, lines.line(number).size()); };
  Place out;
  out.line = lines.number(service.where.span.begin);
  out.name = line_at(out.line);
  auto rest = std::string_view(text).substr(service.where.span.end, lines.line(out.line).end - service.where.span.end);
  while (rest.starts_with('"') || rest.starts_with('\'') || rest.starts_with(' ')) rest.remove_prefix(1);
  if (!rest.starts_with(':')) return {};
  rest.remove_prefix(1);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const bool anchor = rest.starts_with('&') && rest.find_first_of("{ ") == std::string_view::npos;
  if (!rest.empty() && !rest.starts_with('#') && !anchor) return {};  // { ... }, *alias
  if (out.line >= lines.lines()) return {};
  out.first = line_at(out.line + 1);
  std::size_t below = out.line + 1;
  const auto says_nothing = [&](std::string_view line) {
    const auto begin = line.find_first_not_of(' ');
    return begin == std::string_view::npos || line[begin] == '#';
  };
  while (below <= lines.lines() && says_nothing(line_at(below))) ++below;
  if (below > lines.lines()) return {};
  out.indent = line_at(below).find_first_not_of(' ');
  if (out.indent <= out.name.find_first_not_of(' ')) return {};
  out.last = lines.line(out.line + 1).end == text.size();
  return out;
}

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

namespace {

/// By file and line: where the line goes that mends the service of this name.
using Hunks = std::map<sources::FileId, std::map<std::size_t, std::pair<Place, std::string>>>;

Hunks hunks_of(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services) {
  constexpr std::size_t kMost = 100;
  Hunks out;
  const auto form = std::ranges::find(kForms, rule.id, &Form::rule);
  if (form == std::end(kForms) || services.size() > kMost) return out;
  const auto& project = input.project;
  for (const auto id : services) {
    const auto& service = project.services[id];
    if (service.where.file == sources::kNoFile || service.node == nullptr) continue;
    if (std::ranges::any_of(form->instead, [&](std::string_view name) { return !name.empty() && service.node->find(name) != nullptr; })) continue;
    const auto line = form->written(input, id);
    const auto& source = project.texts.at(service.where.file);
    if (line.empty() || sources::relative_to(source.path, project.folder).starts_with('/') || source.content.find('\r') != std::string::npos) continue;
    if (const auto place = place_of(project, service)) out[service.where.file].try_emplace(place->line, *place, line);
  }
  return out;
}

}  // namespace

std::string unified_diff(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services) {
  std::string out;
  for (const auto& [file, hunks] : hunks_of(input, rule, services)) {
    const auto path = sources::relative_to(input.project.texts.at(file).path, input.project.folder);
    std::string text;
    std::size_t added = 0;
    for (const auto& [number, hunk] : hunks) {
      const auto& [place, line] = hunk;
      // A line that may not be shown whole would make a diff that does not apply.
      if (sensitive::mask_line(place.first) != place.first || sensitive::mask_line(place.name) != place.name) continue;
      text += fmt::format("@@ -{},2 +{},3 @@\n {}\n+{}{}\n {}\n", number, number + added++, place.name, std::string(place.indent, ' '), line, place.first);
      if (place.last) text += "\\ No newline at end of file\n";
    }
    if (!text.empty()) out += fmt::format("--- a/{0}\n+++ b/{0}\n", path) + text;
  }
  return out;
}

std::vector<Insertion> insertions(const audit::Input& input, const audit::Rule& rule, const std::vector<audit::ServiceId>& services) {
  std::vector<Insertion> out;
  for (const auto& [file, hunks] : hunks_of(input, rule, services))
    for (const auto& [number, hunk] : hunks) out.push_back({file, number + 1, std::string(hunk.first.indent, ' ') + hunk.second + "\n"});
  return out;
}

}  // namespace dm::report
