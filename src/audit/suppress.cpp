#include "audit/suppress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "audit/history.hpp"
#include "base/json.hpp"
#include "formats/yaml.hpp"

namespace dm::audit {
namespace {

constexpr std::string_view kMark = "datamancy: ignore";
constexpr std::string_view kKnown = "known in the baseline";

bool is_rule(const Rule& rule, std::string_view word) { return rule.id == word || rule.name == word; }

struct Inline {
  std::vector<std::string_view> rules;
  std::string_view reason;
};

/// The directive of a line, if it has one.
std::optional<Inline> directive(std::string_view line) {
  const auto hash = line.find('#');
  if (hash == std::string_view::npos) return std::nullopt;
  const auto at = line.find(kMark, hash);
  if (at == std::string_view::npos) return std::nullopt;
  auto rest = line.substr(at + kMark.size());
  Inline out;
  if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
    out.reason = rest.substr(colon + 1);
    while (!out.reason.empty() && (out.reason.front() == ' ' || out.reason.front() == '\t')) out.reason.remove_prefix(1);
    while (!out.reason.empty() && (out.reason.back() == ' ' || out.reason.back() == '\r')) out.reason.remove_suffix(1);
    rest = rest.substr(0, colon);
  }
  while (!rest.empty()) {
    const auto end = std::min(rest.find_first_of(" ,\t\r"), rest.size());
    if (end > 0) out.rules.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

/// What a finding in git history is told apart by: the file may be gone, and may have leaked twice. "" for all others.
std::string past_file(const Finding& finding) {
  const auto past = past_place(finding);
  return past.commit.empty() ? std::string() : fmt::format("{}@{}", past.file, past.commit);
}

bool comment_only(std::string_view line) {
  const auto first = line.find_first_not_of(" \t");
  return first != std::string_view::npos && line[first] == '#';
}

class Pass {
 public:
  Pass(const Input& input, Suppressions& given) : texts_(input.project.texts), input_(input), given_(given) {
    used_.resize(given.exceptions.size());
  }

  void run(std::vector<Finding>& findings) {
    std::vector<Finding> out;
    out.reserve(findings.size());
    for (auto& finding : findings) divide(std::move(finding), out);
    findings = std::move(out);
    for (std::size_t i = 0; i < used_.size(); ++i)
      if (!used_[i])
        warnings_.insert(fmt::format("{}: the exception for {} matches no finding; delete it", given_.exceptions[i].where,
                                     given_.exceptions[i].rule));
  }
  std::vector<std::string> warnings() const { return {warnings_.begin(), warnings_.end()}; }

 private:
  void divide(Finding finding, std::vector<Finding>& out) {
    const bool parallel = finding.services.size() == finding.where.size();
    std::map<std::string, std::vector<std::size_t>> by_reason;
    for (std::size_t i = 0; i < finding.where.size(); ++i)
      by_reason[reason(finding, i, parallel)].push_back(i);
    if (by_reason.size() == 1) {
      finding.suppressed_by = by_reason.begin()->first;
      out.push_back(std::move(finding));
      return;
    }
    for (const auto& [why, places] : by_reason) {  // "" sorts first: what still counts
      Finding part = finding;
      part.suppressed_by = why;
      part.where.clear();
      if (parallel) part.services.clear();
      std::string names;
      for (const auto i : places) {
        part.where.push_back(finding.where[i]);
        if (!parallel) continue;
        part.services.push_back(finding.services[i]);
        names += fmt::format("{}{}", names.empty() ? "" : ", ", input_.project.services[finding.services[i]].name);
      }
      if (!names.empty()) part.evidence += fmt::format("{}here: {}", part.evidence.empty() ? "" : "; ", names);
      out.push_back(std::move(part));
    }
  }

  std::string reason(const Finding& finding, std::size_t place, bool parallel) {
    const auto& where = finding.where[place];
    if (auto found = inline_reason(*finding.rule, where); !found.empty()) return found;
    const auto file = where ? sources::relative_to(texts_.at(where.file).path, input_.project.folder) : std::string_view();
    const auto past = past_file(finding);
    const auto matches = [&](std::string_view service) {
      if (service.empty()) return true;
      if (parallel) return input_.project.services[finding.services[place]].name == service;
      return std::ranges::any_of(finding.services, [&](auto id) { return input_.project.services[id].name == service; });
    };
    for (std::size_t i = 0; i < given_.exceptions.size(); ++i) {
      const auto& entry = given_.exceptions[i];
      if (!is_rule(*finding.rule, entry.rule) || (!entry.file.empty() && entry.file != file && entry.file != past && entry.file != past_place(finding).file) || !matches(entry.service)) continue;
      used_[i] = true;
      return fmt::format("{} ({})", entry.reason, entry.where);
    }
    for (auto& known : given_.known) {
      if (known.count == 0 || known.rule != finding.rule->id || known.file != (past.empty() ? file : past)) continue;
      if (!matches(known.service)) continue;
      --known.count;
      return std::string(kKnown);
    }
    return {};
  }

  std::string inline_reason(const Rule& rule, const Location& where) {
    if (!where) return {};
    const auto& lines = texts_.lines(where.file);
    const auto number = texts_.lines(where.file).number(where.span.begin);
    const auto text_of = [&](std::size_t line) {
      const auto span = lines.line(line);
      return std::string_view(texts_.at(where.file).content).substr(span.begin, span.size());
    };
    for (auto line = number; line >= 1; --line) {
      const auto text = text_of(line);
      if (line != number && !comment_only(text)) break;  // only comments directly above belong to the line
      // Read once: thousands of findings may lie on one line of megabytes.
      auto known = directives_.find({where.file, line});
      if (known == directives_.end()) known = directives_.emplace(std::pair(where.file, line), directive(text)).first;
      const auto& found = known->second;
      if (!found) continue;
      const auto place = fmt::format("{}:{}", sources::relative_to(texts_.at(where.file).path, input_.project.folder), line);
      if (found->rules.empty() || found->reason.empty()) {
        warnings_.insert(fmt::format("{}: '{}' needs rules and a reason: # {} DM0601: why", place, kMark, kMark));
        continue;
      }
      if (std::ranges::any_of(found->rules, [&](auto word) { return is_rule(rule, word); }))
        return fmt::format("{} ({})", found->reason, place);
    }
    return {};
  }

  const sources::SourceSet& texts_;
  const Input& input_;
  Suppressions& given_;
  std::vector<bool> used_;
  std::set<std::string> warnings_;
  std::map<std::pair<sources::FileId, std::size_t>, decltype(directive(std::string_view()))> directives_;
};

}  // namespace

Result<std::vector<Exception>> parse_exceptions(std::string_view text, std::string_view name) {
  const auto bad = [&](std::size_t line, std::string_view what) {
    return fail(Errc::invalid_input,
                fmt::format("{}:{}: {}; write `suppress: [{{rule: DM0601, service: web, reason: why}}]`", name, line, what));
  };
  std::vector<Exception> out;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return out;
  using Kind = formats::YamlNode::Kind;
  auto parsed = formats::parse_yaml(text);
  if (!parsed) return fail(Errc::invalid_input, fmt::format("{}: {}", name, parsed.error().message));
  if (parsed->kind != Kind::mapping) {
    if (parsed->kind == Kind::scalar && parsed->text.empty()) return out;  // comments only
    return bad(parsed->line, "it is no mapping");
  }
  for (const auto& [key, value] : parsed->entries) {
    if (key == "backup") continue;  // read by the verbs that back up
    if (key != "suppress") return bad(value.line, fmt::format("unknown key '{}'", key));
    if (value.kind != Kind::sequence && !(value.kind == Kind::scalar && value.text.empty())) return bad(value.line, "`suppress` is no list");
    for (const auto& item : value.items) {
      Exception entry;
      entry.where = fmt::format("{}:{}", name, item.line);
      for (const auto& [field, content] : item.entries) {
        if (field == "rule") entry.rule = content.text;
        else if (field == "service") entry.service = content.text;
        else if (field == "file") entry.file = content.text;
        else if (field == "reason") entry.reason = content.text;
        else return bad(content.line, fmt::format("unknown key '{}'", field));
      }
      if (find_rule(entry.rule) == nullptr) return bad(item.line, fmt::format("no rule is called '{}'", entry.rule));
      if (entry.reason.empty()) return bad(item.line, fmt::format("the exception for {} has no reason", entry.rule));
      out.push_back(std::move(entry));
    }
  }
  return out;
}

Result<std::vector<Known>> parse_baseline(std::string_view text, std::string_view name) {
  auto parsed = formats::parse_yaml(text);  // JSON is YAML
  if (!parsed) return fail(Errc::invalid_input, fmt::format("{}: {}", name, parsed.error().message));
  const auto* known = parsed->find("known");
  if (known == nullptr || known->kind != formats::YamlNode::Kind::sequence)
    return fail(Errc::invalid_input, fmt::format("{}: no baseline; make one with: datamancy audit --write-baseline FILE", name));
  std::vector<Known> out;
  for (const auto& item : known->items) {
    Known entry;
    if (const auto* rule = item.find("rule")) entry.rule = rule->text;
    if (const auto* file = item.find("file")) entry.file = file->text;
    if (const auto* service = item.find("service")) entry.service = service->text;
    if (const auto* count = item.find("count"))
      std::from_chars(count->text.data(), count->text.data() + count->text.size(), entry.count);
    out.push_back(std::move(entry));
  }
  return out;
}

std::string baseline(const Input& input, const std::vector<Finding>& findings) {
  std::map<std::tuple<std::string_view, std::string, std::string_view>, std::size_t> counts;
  for (const auto& finding : findings) {
    if (!finding.suppressed_by.empty() && finding.suppressed_by != kKnown) continue;  // what an older baseline knows stays known
    const bool parallel = finding.services.size() == finding.where.size();
    const auto past = past_file(finding);
    for (std::size_t i = 0; i < finding.where.size(); ++i) {
      const auto& where = finding.where[i];
      const auto file = !past.empty() ? std::string_view(past) : where ? sources::relative_to(input.project.texts.at(where.file).path, input.project.folder) : std::string_view();
      const auto service = finding.services.empty() ? std::string_view() : std::string_view(input.project.services[finding.services[parallel ? i : 0]].name);
      ++counts[{finding.rule->id, std::string(file), service}];
    }
  }
  JsonWriter json;
  json.begin_object().key("version").value(std::int64_t{1}).key("known").begin_array();
  for (const auto& [key, count] : counts) {
    const auto& [rule, file, service] = key;
    json.begin_object().key("rule").value(rule).key("file").value(file).key("service").value(service);
    json.key("count").value(static_cast<std::uint64_t>(count)).end();
  }
  json.end().end();
  return json.take() + "\n";
}

std::vector<std::string> suppress(const Input& input, Suppressions suppressions, std::vector<Finding>& findings) {
  Pass pass(input, suppressions);
  pass.run(findings);
  return pass.warnings();
}

}  // namespace dm::audit
