#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "audit/suppress.hpp"
#include "base/json.hpp"
#include "cli/judge.hpp"
#include "compose/nearest.hpp"
#include "report/findings.hpp"

namespace dm::cli {
namespace {

std::optional<audit::Severity> severity_of(std::string_view name) {
  for (const auto severity : {audit::Severity::critical, audit::Severity::high, audit::Severity::medium, audit::Severity::low, audit::Severity::info})
    if (audit::to_string(severity) == name) return severity;
  return std::nullopt;
}

using Render = std::string (*)(const report::Findings&);

Render renderer(std::string_view format) {
  static constexpr std::pair<std::string_view, Render> kFormats[] = {{"text", report::to_text},         {"json", report::to_json},
                                                                     {"markdown", report::to_markdown}, {"sarif", report::to_sarif},
                                                                     {"junit", report::to_junit},       {"html", report::to_html}};
  const auto found = std::ranges::find(kFormats, format, &std::pair<std::string_view, Render>::first);
  return found == std::end(kFormats) ? nullptr : found->second;
}

}  // namespace

int audit(Args& args) {
  std::string format = "text";
  std::string output;
  std::string fail_on = "low";
  std::string show;
  args.option("--format", format);
  if (args.has("--json")) format = "json";
  if (!args.option("--output", output)) args.option("-o", output);
  std::string write_baseline;
  args.option("--write-baseline", write_baseline);
  args.option("--fail-on", fail_on);
  args.option("--show", show);
  const auto limit = severity_of(fail_on);
  if (!limit) return bad_value("audit", "--fail-on", fail_on);
  // What fails is shown, if nothing else is asked for.
  const auto least = show.empty() ? std::optional(std::max(*limit, audit::Severity::low)) : severity_of(show);
  if (!least) return bad_value("audit", "--show", show);
  const auto render = renderer(format);
  if (render == nullptr) return bad_value("audit", "--format", format);
  LiveOptions live;
  if (!take_live(args, live)) return kUsage;
  const bool history = args.has("--history");
  std::string baseline;
  args.option("--baseline", baseline);
  if (!take_path(args, "audit")) return kUsage;
  Judged judged;
  if (!judge(args, baseline, judged, live, history)) return judged.exit;
  const auto input = judged.input();
  if (!write_baseline.empty()) {
    if (!write_output(write_baseline, audit::baseline(input, judged.findings))) return kFailed;
    fmt::print(stderr, "datamancy: wrote {}; from now on: datamancy audit --baseline {}\n", write_baseline, write_baseline);
    return judged.blind ? judged.exit : kClean;
  }
  bool written = true;
  if (format == "json" && output.empty())
    report::write_json({input, judged.findings, *least}, [&](std::string_view piece) { written = written && write_output("", piece); });
  else
    written = write_output(output, render({input, judged.findings, *least}));
  if (!written) return kFailed;
  if (judged.blind) return judged.exit;
  const bool failed = std::ranges::any_of(judged.findings, [&](const auto& finding) { return finding.suppressed_by.empty() && finding.severity <= *limit; });
  return failed ? kFindings : kClean;
}

int explain(Args& args) {
  const bool as_json = args.has("--json");
  if (args.words.size() != 1) {
    fmt::print(stderr, "datamancy: explain takes one rule; 'datamancy rules' lists them\n");
    return kUsage;
  }
  auto wanted = args.words[0];
  const auto* rule = audit::find_rule(wanted);
  if (rule == nullptr) {
    std::ranges::transform(wanted, wanted.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    rule = audit::find_rule(wanted);  // dm0601
  }
  if (rule == nullptr) {
    compose::Nearest nearest(args.words[0]);
    for (const auto* known : audit::all_rules()) nearest.offer(known->name);
    fmt::print(stderr, "datamancy: no rule is called '{}'; {}\n", args.words[0], nearest.hint("'datamancy rules' lists them"));
    return kUsage;
  }
  if (as_json) {
    JsonWriter writer;
    writer.begin_object().key("id").value(rule->id).key("name").value(rule->name).key("severity").value(audit::to_string(rule->severity)).key("area")
        .value(audit::to_string(rule->area)).key("summary").value(rule->summary).key("why").value(rule->rationale).key("mend").value(rule->fix);
    writer.key("minutes").value(static_cast<std::uint64_t>(rule->minutes)).key("bad").value(rule->bad).key("good").value(rule->good).key("looks_alike").value(rule->look_alike).end();
    return write_output("", writer.take() + "\n") ? kClean : kFailed;
  }
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
