#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/json.hpp"
#include "cli/judge.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::cli {
namespace {

std::optional<audit::Severity> severity_of(std::string_view name) {
  for (const auto severity : {audit::Severity::critical, audit::Severity::high, audit::Severity::medium, audit::Severity::low, audit::Severity::info})
    if (audit::to_string(severity) == name) return severity;
  return std::nullopt;
}

std::string text(const Judged& judged, audit::Severity least) {
  const auto& project = *judged.loaded.project;
  std::string out;
  std::array<std::size_t, 5> counts{};
  for (const auto& finding : judged.findings) {
    ++counts[static_cast<std::size_t>(finding.severity)];
    if (finding.severity > least) continue;
    const auto& where = finding.where.front();
    out += fmt::format("{} {}: {} [{} {}]\n", audit::to_string(finding.severity), project.texts.describe(where, project.folder), finding.message,
                       finding.rule->id, finding.rule->name);
    const auto position = project.texts.position(where);
    const auto span = project.texts.lines(where.file).line(position.line);
    const auto line = std::string_view(project.texts.at(where.file).content).substr(span.begin, std::min<std::size_t>(span.size(), 160));
    const auto width = std::max<std::size_t>(1, std::min<std::size_t>(where.span.size(), line.size() + 1 - std::min(line.size(), position.column - 1)));
    out += fmt::format("  {:>5} | {}\n        | {}{}\n", position.line, sensitive::mask_line(line), std::string(position.column - 1, ' '), std::string(std::min<std::size_t>(width, 60), '^'));
    if (finding.where.size() > 1) out += fmt::format("  and {} more places\n", finding.where.size() - 1);
    if (!finding.evidence.empty()) out += fmt::format("  evidence: {}\n", finding.evidence);
    out += fmt::format("  mend: {}\n\n", finding.hint.empty() ? std::string(finding.rule->fix) : finding.hint);
  }
  out += fmt::format("{} services: {} critical, {} high, {} medium, {} low findings\n", project.services.size(), counts[0], counts[1], counts[2], counts[3]);
  return out;
}

std::string json(const Judged& judged) {
  const auto& project = *judged.loaded.project;
  JsonWriter writer;
  writer.begin_object().key("version").value(std::int64_t{1}).key("project").value(project.name);
  writer.key("services").value(static_cast<std::uint64_t>(project.services.size())).key("findings").begin_array();
  for (const auto& finding : judged.findings) {
    writer.begin_object().key("rule").value(finding.rule->id).key("name").value(finding.rule->name);
    writer.key("severity").value(audit::to_string(finding.severity)).key("area").value(audit::to_string(finding.rule->area));
    writer.key("message").value(finding.message).key("evidence").value(finding.evidence);
    writer.key("hint").value(finding.hint.empty() ? std::string(finding.rule->fix) : finding.hint);
    writer.key("services").begin_array();
    for (const auto id : finding.services) writer.value(project.services[id].name);
    writer.end().key("places").begin_array();
    for (const auto& where : finding.where) {
      const auto position = project.texts.position(where);
      writer.begin_object().key("file").value(where ? sources::relative_to(project.texts.at(where.file).path, project.folder) : std::string_view());
      writer.key("line").value(static_cast<std::uint64_t>(position.line)).key("column").value(static_cast<std::uint64_t>(position.column));
      writer.key("begin").value(static_cast<std::uint64_t>(where.span.begin)).key("end").value(static_cast<std::uint64_t>(where.span.end)).end();
    }
    writer.end().end();
  }
  writer.end().end();
  return writer.take() + "\n";
}

}  // namespace

int audit(Args& args) {
  std::string format = "text";
  std::string output;
  std::string fail_on = "low";
  std::string show = "low";
  args.option("--format", format);
  if (args.has("--json")) format = "json";
  if (!args.option("--output", output)) args.option("-o", output);
  args.option("--fail-on", fail_on);
  args.option("--show", show);
  const auto limit = severity_of(fail_on);
  const auto least = severity_of(show);
  if (!limit) return unknown("audit", fail_on);
  if (!least) return unknown("audit", show);
  if (format != "text" && format != "json") return unknown("audit", format);
  if (!take_path(args, "audit")) return kUsage;
  Judged judged;
  if (!judge(args, judged)) return kFailed;
  if (!write_output(output, format == "json" ? json(judged) : text(judged, *least))) return kFailed;
  const bool failed = std::ranges::any_of(judged.findings, [&](const auto& finding) { return finding.suppressed_by.empty() && finding.severity <= *limit; });
  return failed ? kFindings : kClean;
}

int explain(Args& args) {
  const auto* rule = args.words.size() == 1 ? audit::find_rule(args.words[0]) : nullptr;
  if (rule == nullptr) return unknown("explain", args.words.empty() ? "" : args.words[0]);
  fmt::print("{} {} ({}, {})\n{}\n\n{}\n\nmend: {}\n\nbad:\n{}\ngood:\n{}\nlooks alike, and is right:\n{}", rule->id, rule->name,
             audit::to_string(rule->severity), audit::to_string(rule->area), rule->summary, rule->rationale, rule->fix, rule->bad, rule->good, rule->look_alike);
  return kClean;
}

int rules(Args& args) {
  const bool as_json = args.has("--json");
  if (!args.words.empty()) return unknown("rules", args.words[0]);
  JsonWriter writer;
  if (as_json) writer.begin_array();
  for (const auto* rule : audit::all_rules()) {
    if (as_json)
      writer.begin_object().key("id").value(rule->id).key("name").value(rule->name).key("severity").value(audit::to_string(rule->severity)).key("area")
          .value(audit::to_string(rule->area)).key("summary").value(rule->summary).end();
    else
      fmt::print("{}  {:8}  {:28}  {}\n", rule->id, audit::to_string(rule->severity), rule->name, rule->summary);
  }
  if (as_json) fmt::print("{}\n", writer.end().take());
  return kClean;
}

}  // namespace dm::cli
