#include "cli/history.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/utf8.hpp"
#include "base/words.hpp"
#include "cli/session.hpp"
#include "sources/files.hpp"
#include "state/store.hpp"

namespace dm::cli {
namespace {

audit::Severity severity_of(std::string_view name) {
  for (const auto severity : {audit::Severity::critical, audit::Severity::high, audit::Severity::medium, audit::Severity::low})
    if (audit::to_string(severity) == name) return severity;
  return audit::Severity::info;
}

/// What somebody committed once goes to a terminal: no byte of it moves the cursor.
std::string shown(std::string_view text) {
  auto out = printable(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

}  // namespace

Result<PastOfRepository> read_history(const Args& args, const std::string& path) {
  const auto deadline = Deadline::in(std::chrono::hours(2));
  const auto folder = sources::disk().stat(path).kind == sources::Kind::directory ? path : sources::parent_path(path);
  DM_TRY(auto repository, secrets::find_git_repository(folder, deadline));
  DM_TRY(const auto sealed, secrets::sealed_in(repository, {args.project.environment, {}, true}, deadline));
  const auto state = state::root_folder(plain_environment(args), ::geteuid() == 0);
  DM_TRY(auto history, secrets::scan_history(repository, sealed, state.starts_with('/') ? state + "/git-history" : "", deadline));
  return PastOfRepository{std::move(repository), std::move(history)};
}

Result<std::vector<audit::PastSecret>> past_secrets(const Args& args, const compose::Project& project) {
  DM_TRY(const auto past, read_history(args, std::string(project.folder)));
  const auto folder = sources::disk().canonical(std::string(project.folder));
  std::vector<audit::PastSecret> out;
  std::size_t committed = 0;
  for (const auto& one : past.history.leaks) {
    if (one.now == secrets::PastLeak::Now::committed) {
      committed += one.leak.severity == "info" ? 0 : 1;
      continue;
    }
    const auto full = past.repository.top + "/" + one.leak.path;
    auto file = std::filesystem::path(full).lexically_relative(folder).string();
    const auto path = file.starts_with("../") ? full : std::string(project.folder) + "/" + file;
    out.push_back({path, shown(file), one.leak.line, shown(one.leak.name), std::string(secrets::about(one.leak.rule).says), severity_of(one.leak.severity), one.leak.shown(),
                   one.leak.commit.substr(0, 10), one.date, one.leak.rule == secrets::LeakRule::shape, one.now == secrets::PastLeak::Now::kept});
  }
  for (const auto& note : past.history.notes) fmt::print(stderr, "note: {}\n", note);
  if (committed > 0)
    fmt::print(stderr, "note: {} of git history {} in committed files, too, and {} left to the other rules; 'datamancy secrets scan {}' lists them\n", counted(committed, "secret"), committed == 1 ? "stands" : "stand",
               committed == 1 ? "is" : "are", past.repository.top);
  return out;
}

}  // namespace dm::cli
