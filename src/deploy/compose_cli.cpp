#include "deploy/compose_cli.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "secrets/crypto.hpp"

namespace dm::deploy {
namespace {

/// The plugin's own file: called directly it answers in half the time, and takes the docker CLI's `-H` and `--context` as well.
std::string plugin() {
  const auto env = [](const char* name) -> std::string {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets variables
    return value == nullptr ? "" : value;
  };
  std::vector<std::string> folders;
  if (const auto own = env("DOCKER_CONFIG"); !own.empty()) folders.push_back(own + "/cli-plugins");
  if (const auto home = env("HOME"); !home.empty()) folders.push_back(home + "/.docker/cli-plugins");
  for (const auto* folder : {"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins"})
    folders.emplace_back(folder);
  for (const auto& folder : folders)
    if (const auto path = folder + "/docker-compose"; ::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

Error missing(Error error) {
  if (error.code != Errc::not_found) return error;
  error.message = "docker compose is not installed (the docker CLI with Compose 2.20 or newer is needed: Docker's own packages, or Debian 13's docker-compose)";
  error.exit = 10;
  return error;
}

void compare(const nlohmann::json& theirs, const nlohmann::json& ours, const std::string& path, std::vector<std::string>& out) {
  if (theirs.is_object() && ours.is_object()) {
    for (const auto& [key, value] : theirs.items()) {
      const auto at = path.empty() ? key : path + "." + key;
      if (const auto other = ours.find(key); other == ours.end()) out.push_back(at + " (only Compose has it)");
      else compare(value, *other, at, out);
    }
    for (const auto& [key, value] : ours.items())
      if (!theirs.contains(key)) out.push_back((path.empty() ? key : path + "." + key) + " (Compose does not have it)");
    return;
  }
  if (theirs.is_array() && ours.is_array() && theirs.size() == ours.size()) {
    for (std::size_t i = 0; i < theirs.size(); ++i) compare(theirs[i], ours[i], fmt::format("{}[{}]", path, i), out);
    return;
  }
  if (theirs != ours) out.push_back(path);
}

}  // namespace

void settle_env_files(std::map<std::string, std::string>& hashes, compose::Project& project, const std::vector<std::pair<std::string_view, std::string_view>>& labels) {
  for (const auto& service : project.services) {
    const auto known = hashes.find(std::string(service.name));
    if (!service.enabled || service.env_files.empty() || known == hashes.end()) continue;
    const auto own = secrets::hex(secrets::sha256(compose::hashed_text(project, service)));
    if (std::ranges::find(labels, std::pair<std::string_view, std::string_view>(known->first, own)) != labels.end()) known->second = own;
  }
}

ComposeCli::ComposeCli(const compose::Options& given, std::string name, const secrets::Handover* handover)
    : folder_(given.working_directory), stdin_text_(given.stdin_text), env_files_(given.env_files), handover_(handover) {
  const auto options = handover != nullptr ? handover->for_compose(given) : given;
  for (const auto& file : options.files) globals_.insert(globals_.end(), {"-f", file});
  globals_.insert(globals_.end(), {"-p", std::move(name)});
  for (const auto& profile : options.profiles) globals_.insert(globals_.end(), {"--profile", profile});
  if (!options.project_directory.empty()) globals_.insert(globals_.end(), {"--project-directory", options.project_directory});
  for (const auto& [variable, value] : options.environment) {
    const char* present = std::getenv(variable.c_str());  // NOLINT(concurrency-mt-unsafe)
    if (present == nullptr || value != present) env_.emplace(variable, value);
  }
}

void ComposeCli::reach(const std::string& host, const std::string& context) {
  if (!host.empty()) engine_.insert(engine_.end(), {"-H", host});
  if (!context.empty()) engine_.insert(engine_.end(), {"--context", context});
}

Command ComposeCli::command(std::vector<std::string> words, bool engine, const std::vector<std::string>& env_files) const {
  Command out;
  if (auto direct = plugin(); !direct.empty()) out.argv = {std::move(direct)};
  else out.argv = {"docker"};
  if (engine) out.argv.insert(out.argv.end(), engine_.begin(), engine_.end());
  if (out.argv.front() == "docker") out.argv.emplace_back("compose");
  out.argv.insert(out.argv.end(), globals_.begin(), globals_.end());
  out.argv.insert(out.argv.end(), env_files.begin(), env_files.end());
  if (engine) out.argv.insert(out.argv.end(), {"--progress", "plain", "--ansi", "never"});
  out.argv.insert(out.argv.end(), words.begin(), words.end());
  out.folder = folder_;
  out.env = env_;
  if (handover_ != nullptr) out.unset = handover_->names();
  return out;
}

Result<Finished> ComposeCli::run(std::vector<std::string> words, bool engine, const Deadline& deadline, const Sink& progress) const {
  Streams streams;
  std::vector<std::string> env_files;
  secrets::ComposeFeed feed;
  if (handover_ != nullptr) {
    DM_TRY(feed, handover_->feed());
    env_files = feed.arguments;
  } else {
    for (const auto& file : env_files_) env_files.insert(env_files.end(), {"--env-file", file});
  }
  bool given = false;
  if (!stdin_text_.empty())
    streams.in = [this, &given]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : stdin_text_; };
  std::string last;
  const auto clean = [&](std::string_view text) {
    if (handover_ == nullptr || !handover_->secrets().any()) return std::string(text);
    auto variables = secrets::variables_of(handover_->secrets(), {});
    return variables ? secrets::Scrubber(std::move(*variables)).clean(text) : std::string("(withheld: sealed values could not be told apart)");
  };
  if (progress)
    streams.err = [&](std::string_view piece) {
      last.append(piece);
      if (last.size() > 16384) last.erase(0, last.size() - 16384);
      return progress(clean(piece));
    };
  auto what = command(std::move(words), engine, env_files);
  what.descriptors = feed.descriptors;
  auto finished = run_process(what, streams, deadline);
  if (!finished) return fail(missing(finished.error()));
  if (progress) finished->err = last;
  if (finished->fine()) return finished;
  auto words_of = clean(finished->err);
  while (words_of.ends_with('\n')) words_of.pop_back();
  if (words_of.find("is not a docker command") != std::string::npos) return fail(missing({Errc::not_found, "", {}}));
  // Its last lines say what went wrong; lines of progress do not.
  std::vector<std::string_view> lines;
  for (std::string_view rest = words_of; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const auto last_word = line.substr(line.find_last_of(' ') + 1);
    const bool moving = last_word == "Interrupted" || (last_word.size() > 3 && last_word.ends_with("ing")) || last_word == "Created" || last_word == "Pulled" || last_word == "Started";
    // The same words come once for the container and once for the whole command.
    const bool said_before = std::ranges::any_of(lines, [&](std::string_view before) { return before.ends_with(line); });
    if (!line.empty() && !said_before && !(line.starts_with(' ') && moving)) lines.push_back(line);
  }
  std::string said;
  for (std::size_t i = lines.size() > 4 ? lines.size() - 4 : 0; i < lines.size(); ++i) said += fmt::format("{}{}", said.empty() ? "" : "; ", lines[i].substr(std::min(lines[i].find_first_not_of(' '), lines[i].size())));
  return fail(Errc::failed, fmt::format("docker compose: {}", said));
}

Result<std::string> ComposeCli::version(const Deadline& deadline) {
  Command command;
  if (const auto direct = plugin(); !direct.empty()) command.argv = {direct, "version", "--short"};
  else command.argv = {"docker", "compose", "version", "--short"};
  auto finished = run_process(command, {}, deadline);
  if (!finished) return fail(missing(finished.error()));
  if (!finished->fine()) return fail(missing({Errc::not_found, "", {}}));
  auto text = finished->out;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.starts_with('v')) text.erase(0, 1);
  return text;
}

Result<std::map<std::string, std::string>> ComposeCli::hashes(const Deadline& deadline) const {
  DM_TRY(const auto finished, run({"config", "--hash", "*"}, false, deadline));
  std::map<std::string, std::string> out;
  std::string_view text = finished.out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (const auto cut = line.find(' '); cut != std::string_view::npos) out.emplace(line.substr(0, cut), line.substr(cut + 1));
  }
  return out;
}

Result<std::string> ComposeCli::model(const Deadline& deadline) const {
  DM_TRY(auto finished, run({"config", "--format", "json"}, false, deadline));
  return std::move(finished.out);
}

/// What it says goes to `progress`.
Result<void> ComposeCli::act(std::vector<std::string> words, const Sink& progress, const Deadline& deadline) const {
  const auto finished = run(std::move(words), true, deadline, progress ? progress : [](std::string_view) -> Result<void> { return {}; });
  if (!finished) return fail(finished.error());
  return {};
}

Result<void> ComposeCli::create(const Create& what, const Sink& progress, const Deadline& deadline) const {
  std::vector<std::string> words{"create"};
  if (what.only_these) words = {"up", "--no-start", "--no-deps"};
  if (what.force_recreate) words.emplace_back("--force-recreate");
  if (what.no_recreate) words.emplace_back("--no-recreate");
  if (!what.pull.empty()) words.insert(words.end(), {"--pull", what.pull});
  words.insert(words.end(), what.services.begin(), what.services.end());
  return act(std::move(words), progress, deadline);
}

Result<void> ComposeCli::build(const std::vector<std::string>& services, const Sink& progress, const Deadline& deadline) const {
  std::vector<std::string> words{"build"};
  words.insert(words.end(), services.begin(), services.end());
  return act(std::move(words), progress, deadline);
}

Result<void> ComposeCli::pull(const std::vector<std::string>& services, const Sink& progress, const Deadline& deadline) const {
  std::vector<std::string> words{"pull", "--policy", "always"};
  words.insert(words.end(), services.begin(), services.end());
  return act(std::move(words), progress, deadline);
}

Result<void> ComposeCli::up_one(const std::string& service, const Deadline& deadline) const {
  return act({"up", "-d", "--no-deps", "--no-recreate", service}, {}, deadline);
}

Result<void> ComposeCli::restart_one(const std::string& service, const Deadline& deadline) const {
  return act({"restart", "--no-deps", service}, {}, deadline);
}

Result<void> ComposeCli::stop(int timeout_s, const Sink& progress, const Deadline& deadline) const {
  std::vector<std::string> words{"stop"};
  if (timeout_s >= 0) words.insert(words.end(), {"--timeout", std::to_string(timeout_s)});
  return act(std::move(words), progress, deadline);
}

Result<void> ComposeCli::down(bool volumes, bool orphans, int timeout_s, const Sink& progress, const Deadline& deadline) const {
  std::vector<std::string> words{"down"};
  if (volumes) words.emplace_back("--volumes");
  if (orphans) words.emplace_back("--remove-orphans");
  if (timeout_s >= 0) words.insert(words.end(), {"--timeout", std::to_string(timeout_s)});
  return act(std::move(words), progress, deadline);
}

Result<std::vector<std::string>> differences(const std::string& theirs, const std::string& ours, std::size_t most) {
  const auto a = nlohmann::json::parse(theirs, nullptr, /*allow_exceptions=*/false);
  const auto b = nlohmann::json::parse(ours, nullptr, /*allow_exceptions=*/false);
  if (a.is_discarded()) return fail(Errc::corrupt, "docker compose config printed no JSON");
  if (b.is_discarded()) return fail(Errc::corrupt, "our own model is no JSON");
  std::vector<std::string> out;
  compare(a, b, "", out);
  if (out.size() > most) {
    const auto more = out.size() - most;
    out.resize(most);
    out.push_back(fmt::format("and {} more", more));
  }
  return out;
}

}  // namespace dm::deploy
