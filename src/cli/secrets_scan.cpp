// secrets scan: what lies in the clear, in files and in git history.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <map>

#include "base/json.hpp"
#include "cli/history.hpp"
#include "cli/secrets.hpp"
#include "secrets/scan_tree.hpp"

namespace dm::cli {
namespace {

constexpr std::array<std::string_view, 5> kSeverities{"critical", "high", "medium", "low", "info"};
std::size_t rank(std::string_view severity) { return static_cast<std::size_t>(std::ranges::find(kSeverities, severity) - kSeverities.begin()); }

std::string as_text(const secrets::TreeScan& scan, const std::vector<const secrets::Leak*>& shown) {
  std::string out;
  for (const auto* leak : shown) {
    const auto& rule = secrets::about(leak->rule);
    out += fmt::format("{}:{}: {}: {} {}: {}{}\n", leak->path, leak->line, leak->severity, leak->name, leak->shown(), rule.says,
                       leak->commit.empty() ? "" : fmt::format(" (git history, commit {})", leak->commit));
    if (!leak->note.empty()) out += fmt::format("    {}\n", leak->note);
  }
  std::map<std::size_t, std::size_t> counts;
  for (const auto* leak : shown) ++counts[rank(leak->severity)];
  std::string sums;
  for (const auto& [severity, count] : counts) sums += fmt::format("{}{} {}", sums.empty() ? "" : ", ", count, kSeverities.at(severity));
  out += fmt::format("{}{} files{} read: {}\n", shown.empty() ? "" : "\n", scan.files, scan.versions > 0 ? fmt::format(" and {} versions in git history", scan.versions) : "", sums.empty() ? "nothing found" : sums);
  std::map<std::string_view, std::string_view> mends;
  for (const auto* leak : shown)
    if (leak->severity != "info") mends.emplace(secrets::about(leak->rule).id, secrets::about(leak->rule).mend);
  for (const auto& [id, mend] : mends) out += fmt::format("  {}: {}\n", id, mend);
  return out;
}

std::string as_json(const secrets::TreeScan& scan, const std::vector<const secrets::Leak*>& shown) {
  JsonWriter out;
  out.begin_object().key("version").value(std::int64_t{1}).key("files").value(std::uint64_t{scan.files}).key("history_versions").value(std::uint64_t{scan.versions}).key("leaks").begin_array();
  for (const auto* leak : shown) {
    out.begin_object().key("rule").value(secrets::about(leak->rule).id).key("severity").value(leak->severity).key("path").value(leak->path).key("line").value(std::uint64_t{leak->line});
    out.key("name").value(leak->name).key("shown").value(leak->shown());
    if (!leak->commit.empty()) out.key("commit").value(leak->commit);
    if (!leak->note.empty()) out.key("note").value(leak->note);
    out.end();
  }
  out.end().end();
  return out.take() + "\n";
}

std::string as_sarif(const std::vector<const secrets::Leak*>& shown) {
  JsonWriter out;
  const auto text = [&](std::string_view key, std::string_view value) { out.key(key).begin_object().key("text").value(value).end(); };
  out.begin_object().key("$schema").value("https://json.schemastore.org/sarif-2.1.0.json").key("version").value("2.1.0").key("runs").begin_array().begin_object();
  out.key("tool").begin_object().key("driver").begin_object().key("name").value("datamancy secrets scan").key("version").value("0.1.0").key("rules").begin_array();
  for (const auto& rule : secrets::leak_rules()) {
    out.begin_object().key("id").value(rule.id);
    text("shortDescription", rule.says);
    text("help", rule.mend);
    out.end();
  }
  out.end().end().end().key("results").begin_array();
  for (const auto* leak : shown) {
    const auto& rule = secrets::about(leak->rule);
    const auto* level = rank(leak->severity) <= 1 ? "error" : leak->severity == "medium" ? "warning" : "note";
    out.begin_object().key("ruleId").value(rule.id).key("level").value(level);
    text("message", fmt::format("{} {}: {}{}", leak->name, leak->shown(), rule.says, leak->commit.empty() ? "" : fmt::format(" (git history, commit {})", leak->commit)));
    out.key("locations").begin_array().begin_object().key("physicalLocation").begin_object();
    out.key("artifactLocation").begin_object().key("uri").value(leak->path).end();
    out.key("region").begin_object().key("startLine").value(std::uint64_t{leak->line}).end().end().end().end().end();
  }
  out.end().end().end().end();
  return out.take() + "\n";
}

Result<int> scan(Args& args) {
  std::string format = "text", output, baseline, write, show = "low", fail_on = "low";
  args.option("--format", format);
  if (args.has("--json")) format = "json";
  if (!args.option("-o", output)) args.option("--output", output);
  args.option("--baseline", baseline);
  args.option("--write-baseline", write);
  args.option("--show", show);
  args.option("--fail-on", fail_on);
  const bool history = args.has("--history");
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with('-'))) return secrets_usage("scan", fmt::format("'{}' is not known", args.words.back()));
  if (rank(show) == kSeverities.size() || rank(fail_on) == kSeverities.size()) return secrets_usage("scan", "severities are critical, high, medium, low and info");
  if (format != "text" && format != "json" && format != "sarif") return secrets_usage("scan", fmt::format("'{}' is no format: text, json or sarif", format));
  const auto root = args.words.empty() ? project_folder(args) : absolute(args, args.words[0]);
  if (sources::disk().stat(root).kind == sources::Kind::missing) return fail(Errc::not_found, fmt::format("there is no '{}'", root));

  const auto sealed = secrets::sealed_values_below(root, {args.project.environment, {}, true});
  auto result = secrets::scan_tree(root, sealed);
  if (history) {
    DM_TRY(auto past, read_history(args, root));
    const auto within = sources::disk().canonical(root), top = sources::disk().canonical(past.repository.top);
    for (auto& one : past.history.leaks) {
      // What the scan of the files has shown already.
      const auto path = top + "/" + one.leak.path;
      if (one.now == secrets::PastLeak::Now::committed && (path == within || sources::relative_to(path, within) != path)) continue;
      if (one.now == secrets::PastLeak::Now::kept) one.leak.note = fmt::format("still in use: line {} of the file, which git has no more", one.line_now);
      result.leaks.push_back(std::move(one.leak));
    }
    result.versions = past.history.versions;
    std::ranges::move(past.history.notes, std::back_inserter(result.notes));
  }
  secrets::mark_repeated(result.leaks);
  for (const auto& note : result.notes) fmt::print(stderr, "note: {}\n", note);
  if (!write.empty()) {
    if (!write_output(write, secrets::write_baseline(result.leaks))) return kFailed;
    fmt::print("wrote {} ({} accepted)\n", write, result.leaks.size());
    return kClean;
  }
  if (!baseline.empty()) {
    DM_TRY(const auto text, sources::disk().read(absolute(args, baseline)));
    DM_TRY(const auto known, secrets::read_baseline(text));
    std::erase_if(result.leaks, [&](const secrets::Leak& leak) { return known.knows(leak); });
  }
  std::vector<const secrets::Leak*> shown;
  bool failing = false;
  for (const auto& leak : result.leaks) {
    if (rank(leak.severity) <= rank(show)) shown.push_back(&leak);
    failing = failing || rank(leak.severity) <= rank(fail_on);
  }
  const auto text = format == "json" ? as_json(result, shown) : format == "sarif" ? as_sarif(shown) : as_text(result, shown);
  if (!write_output(output, text)) return kFailed;
  return failing ? kFindings : kClean;
}

}  // namespace

int secrets_scan(Args& args) {
  const auto result = scan(args);
  return result ? *result : complain(result.error());
}

}  // namespace dm::cli
