#include "audit/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "audit/live.hpp"
#include "audit/rules/rules.hpp"
#include "base/words.hpp"

namespace dm::audit {
namespace {

constexpr std::string_view kInHistory = " in git history, ";
constexpr std::size_t kShown = 5;

bool variable(std::string_view name) {
  return !name.empty() && (name[0] < '0' || name[0] > '9') && std::ranges::all_of(name, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

std::string called(const PastSecret& secret) {
  if (secret.token) return fmt::format("{} {}", secret.name.find_first_of("AEIOUaeiou") == 0 ? "an" : "a", secret.name);
  if (secret.name == "URL") return "the password of a URL";
  return secret.name.starts_with('-') ? fmt::format("the password after {}", secret.name) : secret.name;
}

/// "A, B and 3 more", each once.
template <class Range, class Name>
std::string joined(const Range& secrets, Name name) {
  std::vector<std::string> all;
  for (const auto* secret : secrets)
    if (auto one = name(*secret); !one.empty() && std::ranges::find(all, one) == all.end()) all.push_back(std::move(one));
  std::string out;
  for (std::size_t i = 0; i < std::min(all.size(), kShown); ++i) out += fmt::format("{}{}", i == 0 ? "" : i + 1 == all.size() ? " and " : ", ", all[i]);
  if (all.size() > kShown) out += fmt::format(" and {} more", all.size() - kShown);
  return out;
}

/// The file itself where it is still there, else the beginning of the project's.
Location place_of(const Input& input, const std::string& path) {
  if (input.files.stat(path).kind == sources::Kind::regular)
    if (const auto file = input.texts_owner.texts.open(path, 4U << 20U)) return {*file, text::Span{0, 0}};
  return {input.project.services.front().where.file, text::Span{0, 0}};
}

std::string mend(const std::vector<const PastSecret*>& secrets) {
  const auto& first = *secrets.front();
  if (std::ranges::all_of(secrets, [](const PastSecret* one) { return one->severity == Severity::info; })) return "Nothing, if these are examples that nobody uses. What is used must be changed.";
  const auto variables = joined(secrets, [](const PastSecret& one) { return !one.token && variable(one.name) && one.name != "URL" ? one.name : std::string(); });
  const auto tokens = joined(secrets, [](const PastSecret& one) { return one.token ? "the " + one.name : std::string(); });
  std::string out;
  if (!tokens.empty()) out += fmt::format("Revoke {} where it was issued. ", tokens);
  if (!variables.empty()) out += fmt::format("Change {} first (`datamancy secrets rotate NAME` does it on the running service). ", variables);
  else if (tokens.empty()) out += "Change the password first. ";
  return out + fmt::format("Rewriting history (`git filter-repo`, a forced push, new clones everywhere) comes second, if at all: clones, forks and backups keep what was committed. "
                           "Once it is changed, .datamancy.yml can say so: `{{rule: secret-in-history, file: {}@{}, reason: changed}}`.", first.file, first.commit);
}

}  // namespace

std::vector<Finding> audit_history(const Input& input, std::vector<PastSecret> secrets) {
  std::vector<Finding> findings;
  if (input.project.services.empty()) return findings;
  Report report(rules::secret_in_history, findings);
  std::ranges::sort(secrets, {}, [](const PastSecret& one) { return std::tie(one.file, one.date, one.commit, one.severity, one.line, one.name); });
  for (std::size_t at = 0; at < secrets.size();) {
    std::vector<const PastSecret*> together;
    const auto& first = secrets[at];
    for (; at < secrets.size() && secrets[at].file == first.file && secrets[at].commit == first.commit; ++at) together.push_back(&secrets[at]);
    auto message = fmt::format("{}{}{} {}{}, shows {} to whoever has a clone", first.file, kInHistory, first.date.empty() ? "object" : "commit", first.commit,
                               first.date.empty() ? "" : " of " + first.date, joined(together, called));
    if (const auto used = joined(together, [](const PastSecret& one) { return one.in_use ? called(one) : std::string(); }); !used.empty()) message += fmt::format("; still in use: {}", used);
    std::string evidence;
    for (std::size_t i = 0; i < std::min(together.size(), kShown); ++i)
      evidence += fmt::format("{}line {}: {} {}, {}", i == 0 ? "" : "; ", together[i]->line, together[i]->name, together[i]->shown, together[i]->kind);
    if (together.size() > kShown) evidence += fmt::format("; and {} more ('datamancy secrets scan --history')", together.size() - kShown);
    auto& finding = report.add(place_of(input, first.path), wiring::kNone, std::move(message), std::move(evidence), mend(together));
    finding.severity = first.severity;  // the worst comes first
  }
  std::vector<Finding> sorted;
  join(sorted, std::move(findings));
  return sorted;
}

PastPlace past_place(const Finding& finding) {
  if (finding.rule != &rules::secret_in_history) return {};
  const std::string_view message = finding.message;
  const auto cut = message.find(kInHistory);
  if (cut == std::string_view::npos) return {};
  auto rest = message.substr(cut + kInHistory.size());
  rest.remove_prefix(std::min(rest.find(' ') + 1, rest.size()));
  return {message.substr(0, cut), rest.substr(0, rest.find_first_of(" ,"))};
}

}  // namespace dm::audit
