#include "observe/compose_hashes.hpp"

#include <sstream>

#include "base/process.hpp"

namespace dm::observe {

std::map<std::string, std::string> parse_hashes(std::string_view text) {
  std::map<std::string, std::string> out;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, hash, more;
    if (words >> name >> hash && !(words >> more) && hash.size() == 64) out[name] = hash;
  }
  return out;
}

Result<std::map<std::string, std::string>> compose_hashes(const std::vector<std::string>& options, const std::string& folder, const Deadline& deadline) {
  if (!find_program("docker")) return fail(Error{Errc::not_found, "program 'docker' is not in PATH", {}, 10});
  Command command;
  command.argv = {"docker", "compose"};
  command.argv.insert(command.argv.end(), options.begin(), options.end());
  command.argv.insert(command.argv.end(), {"config", "--hash", "*"});
  command.folder = folder;
  DM_TRY(const Finished finished, run_fine(command, {}, deadline));
  return parse_hashes(finished.out);
}

}  // namespace dm::observe
