/// The installed `docker compose`, called by argv: it creates, pulls, builds and hashes; and the model that it sees.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "compose/load.hpp"
#include "secrets/handover.hpp"

namespace dm::deploy {

class ComposeCli {
 public:
  /// Calls it for the project of `options`, as the user would: same files, profiles, env files and folder. `name` is passed with -p.
  /// `handover` (may be null; else must outlive this) feeds it sealed variables and the override of secret files as memory files.
  ComposeCli(const compose::Options& options, std::string name, const secrets::Handover* handover = nullptr);

  /// The engine that was named on the command line, for `docker` as well; empty = as the environment says.
  void reach(const std::string& host, const std::string& context);

  /// "2.40.3"; `not_found` with exit status 10 where there is no Compose v2.
  static Result<std::string> version(const Deadline& deadline);

  /// service -> configuration hash, of the enabled services.
  Result<std::map<std::string, std::string>> hashes(const Deadline& deadline) const;
  /// `config --format json`. May hold secrets: never stored, never printed.
  Result<std::string> model(const Deadline& deadline) const;
  struct Create {
    bool only_these = false;   ///< also leaves alone what the services need
    std::vector<std::string> services{};
    bool force_recreate = false, no_recreate = false;
    std::string pull{};                ///< "", "always", "missing", "never"
  };
  /// Pulls and builds what is missing and creates networks, volumes and containers. What Compose says goes to `progress`.
  Result<void> create(const Create& what, const Sink& progress, const Deadline& deadline) const;
  /// Builds, or pulls by force, the images of these services, whether or not they are here.
  Result<void> build(const std::vector<std::string>& services, const Sink& progress, const Deadline& deadline) const;
  Result<void> pull(const std::vector<std::string>& services, const Sink& progress, const Deadline& deadline) const;
  /// Starts one service with Compose itself: no dependencies, nothing recreated.
  Result<void> up_one(const std::string& service, const Deadline& deadline) const;
  /// Restarts one service with Compose itself, which runs its hooks.
  Result<void> restart_one(const std::string& service, const Deadline& deadline) const;
  /// Stops everything in reverse order; containers stay.
  Result<void> stop(int timeout_s, const Sink& progress, const Deadline& deadline) const;
  /// `compose down`; removes volumes too where told.
  Result<void> down(bool volumes, bool orphans, int timeout_s, const Sink& progress, const Deadline& deadline) const;

 private:
  Command command(std::vector<std::string> words, bool engine, const std::vector<std::string>& env_files) const;
  Result<Finished> run(std::vector<std::string> words, bool engine, const Deadline& deadline, const Sink& progress = {}) const;
  Result<void> act(std::vector<std::string> words, const Sink& progress, const Deadline& deadline) const;
  std::vector<std::string> globals_, engine_;
  std::string folder_, stdin_text_;
  std::map<std::string, std::string> env_;
  std::vector<std::string> env_files_;
  const secrets::Handover* handover_ = nullptr;
};

/// `config --hash` takes an `env_file:` by its path, while the label of a container is made of what the file says. Where the label of one of `containers`
/// (anything with a `service` and a `config_hash`) is what its service hashes to with the env files read, as `project` has them, `hashes` is set to it.
void settle_env_files(std::map<std::string, std::string>& hashes, compose::Project& project, const std::vector<std::pair<std::string_view, std::string_view>>& labels);
template <class Container>
void settle_env_files(std::map<std::string, std::string>& hashes, compose::Project& project, const std::vector<Container>& containers) {
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  for (const auto& container : containers) labels.emplace_back(container.service, container.config_hash);
  settle_env_files(hashes, project, labels);
}

/// Where two normalised models differ, as paths ("services.db.environment.X"), at most `most` of them and then how many more. No
/// values: they may be secrets. `theirs` and `ours` are JSON.
Result<std::vector<std::string>> differences(const std::string& theirs, const std::string& ours, std::size_t most = 10);

}  // namespace dm::deploy
