#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "cli/judge.hpp"
#include "cli/proofs.hpp"
#include "readiness/observed.hpp"
#include "report/summary.hpp"

namespace dm::cli {
namespace {

/// SOURCE_DATE_EPOCH, else today, in UTC: the only line that differs between two runs.
std::string today(const compose::Options& options) {
  std::time_t when = std::time(nullptr);
  if (const auto epoch = options.environment.find("SOURCE_DATE_EPOCH"); epoch != options.environment.end())
    when = static_cast<std::time_t>(std::strtoll(epoch->second.c_str(), nullptr, 10));
  std::tm parts{};
  if (::gmtime_r(&when, &parts) == nullptr) return {};
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

}  // namespace

int report(Args& args) {
  std::string format = "markdown";
  std::string output;
  std::string date;
  args.option("--format", format);
  if (args.has("--json")) format = "json";
  if (!args.option("--output", output)) args.option("-o", output);
  if (!args.option("--date", date)) date = today(args.project);
  const bool explain_sum = args.has("--explain");
  if (format != "markdown" && format != "json" && format != "html") return unknown("report", format);
  LiveOptions live;
  if (!take_live(args, live)) return kUsage;
  std::string baseline;
  if (!take_path(args, "report", baseline)) return kUsage;
  Judged judged;
  if (!judge(args, baseline, judged, live)) return kFailed;
  const auto input = judged.input();
  auto proofs = stored_proofs(args, std::string(input.project.name));
  if (judged.facts) {
    if (!proofs) proofs.emplace();
    proofs->present.whole.engine = judged.facts->engine.id;
    if (proofs->now == 0) proofs->now = std::time(nullptr);
    for (auto& proof : readiness::observed_proofs(*judged.facts)) {
      std::erase_if(proofs->newest, [&](const auto& older) { return older.control == proof.control && older.subject.empty() && older.made <= proof.made; });
      proofs->newest.push_back(std::move(proof));
    }
  }
  const auto summary = report::summarise(input, judged.findings, std::move(date), proofs ? &*proofs : nullptr);
  const auto text = explain_sum ? report::explain_score(summary.readiness)
                    : format == "json" ? report::to_json(summary)
                    : format == "html" ? report::to_html(summary) : report::to_markdown(summary);
  if (!write_output(output, text)) return kFailed;
  return summary.readiness.level == readiness::Level::ready ? kClean : kFindings;  // 1: not proven
}

}  // namespace dm::cli
