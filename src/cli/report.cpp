#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <ctime>

#include "cli/judge.hpp"
#include "cli/proofs.hpp"
#include "readiness/observed.hpp"
#include "report/summary.hpp"

namespace dm::cli {
namespace {

std::string day(std::time_t when) {
  std::tm parts{};
  if (::gmtime_r(&when, &parts) == nullptr) return {};
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

/// The only line that differs between two runs: `given`, else SOURCE_DATE_EPOCH, else today, in UTC. False after saying what is wrong with it.
bool choose_date(const compose::Options& options, std::string& given) {
  if (!given.empty()) {
    std::tm parts{};
    const char* end = ::strptime(given.c_str(), "%Y-%m-%d", &parts);
    parts.tm_isdst = 0;
    auto same = parts;
    if (end != nullptr && *end == '\0' && given.size() == 10 && day(::timegm(&same)) == given) return true;
    fmt::print(stderr, "datamancy: --date wants a day such as 2026-11-27, not '{}'\n", given);
    return false;
  }
  const auto epoch = options.environment.find("SOURCE_DATE_EPOCH");
  if (epoch == options.environment.end() || epoch->second.empty()) {
    given = day(std::time(nullptr));
    return true;
  }
  std::int64_t seconds = 0;
  const auto& text = epoch->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) given = day(static_cast<std::time_t>(seconds));
  if (!given.empty()) return true;
  fmt::print(stderr, "datamancy: SOURCE_DATE_EPOCH is no number of seconds: '{}'\n", text);
  return false;
}

}  // namespace

int report(Args& args) {
  std::string format = "markdown";
  std::string output;
  std::string date;
  args.option("--format", format);
  if (args.has("--json")) format = "json";
  if (!args.option("--output", output)) args.option("-o", output);
  args.option("--date", date);
  if (!choose_date(args.project, date)) return kUsage;
  const bool explain_sum = args.has("--explain");
  if (format != "markdown" && format != "json" && format != "html") return bad_value("report", "--format", format);
  LiveOptions live;
  if (!take_live(args, live)) return kUsage;
  const bool history = args.has("--history");
  std::string baseline;
  args.option("--baseline", baseline);
  if (!take_path(args, "report")) return kUsage;
  Judged judged;
  if (!judge(args, baseline, judged, live, history)) return judged.exit;
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
  const auto text = explain_sum && format != "json" ? report::explain_score(summary.readiness)
                    : format == "json" ? report::to_json(summary)
                    : format == "html" ? report::to_html(summary) : report::to_markdown(summary);
  if (!write_output(output, text)) return kFailed;
  if (judged.blind) return judged.exit;
  return summary.readiness.level == readiness::Level::ready ? kClean : kFindings;  // 1: not proven
}

}  // namespace dm::cli
