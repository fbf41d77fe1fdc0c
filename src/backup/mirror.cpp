#include "backup/mirror.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/process.hpp"

namespace dm::backup {

Result<std::string> mirror(const Location& repository, const std::string& target, const std::vector<std::string>& ssh_options, const Deadline& deadline) {
  if (!repository.url.starts_with('/')) return fail(Errc::unsupported, "only a repository on this disk can be mirrored by rsync");
  if (!find_program("rsync")) return fail(Error{Errc::not_found, "the program rsync is not installed: apt-get install rsync", {}, 10});
  if (target.empty() || target.starts_with('-')) return fail(Errc::invalid_input, fmt::format("'{}' is no target for rsync", target));
  std::string ssh = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes";
  for (const auto& option : ssh_options) {
    if (option.find_first_of("'\"\\ \t\n") != std::string::npos) return fail(Errc::invalid_input, fmt::format("the ssh option '{}' holds a blank or quote", option));
    ssh += " -o " + option;
  }
  std::vector<std::string> words{"rsync", "--recursive", "--times", "--perms", "--ignore-existing", "--exclude=/locks/*", "-e", ssh};
  if (repository.upload_limit > 0) words.push_back(fmt::format("--bwlimit={}", repository.upload_limit));
  // Snapshots last: whoever reads there meanwhile finds what each of them refers to.
  auto first = words, second = words, question = words;
  first.insert(first.end(), {"--exclude=/snapshots/*", "--", repository.url + "/", target + "/"});
  second.insert(second.end(), {"--", repository.url + "/", target + "/"});
  question.insert(question.end(), {"--dry-run", "--out-format=%n", "--", repository.url + "/", target + "/"});
  const auto run = [&](std::string_view doing, const std::vector<std::string>& argv) -> Result<Finished> {
    auto done = run_fine({.argv = argv, .stall = std::chrono::seconds(repository.stall)}, {}, deadline);
    if (!stood_still(done, deadline)) return during(std::string(doing), std::move(done));
    return fail(Errc::timeout, fmt::format("{}: {}", doing, stalled(repository.stall)));
  };
  DM_CHECK(run("mirroring", first));
  DM_CHECK(run("mirroring the snapshots", second));
  DM_TRY(const auto left, run("asking what is missing there", question));
  std::size_t missing = 0;
  for (std::string_view rest = left.out; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.empty() && !line.ends_with('/')) ++missing;
  }
  if (missing > 0) return fail(Errc::failed, fmt::format("{} files are still missing at {}", missing, target));
  return fmt::format("mirrored to {}; nothing is missing there, and nothing there was changed or removed", target);
}

}  // namespace dm::backup
