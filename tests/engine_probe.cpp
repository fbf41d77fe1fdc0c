// The engine client by hand and for tests/lab: engine_probe [-H HOST] [--context NAME] [--seconds N] WHAT ...
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "engine/context.hpp"

extern char** environ;  // NOLINT

namespace {

using namespace dm;  // NOLINT
using Words = std::vector<std::string>;

Sink to_fd(int fd) {
  return [fd](std::string_view bytes) { return write_all(fd, bytes); };
}
Source from_stdin() {
  return [] { return read_some(STDIN_FILENO); };
}

bool take(Words& words, std::string_view flag) { return std::erase(words, flag) > 0; }
std::string option(Words& words, std::string_view name) {
  for (auto at = words.begin(); at != words.end(); ++at)
    if (*at == name && at + 1 != words.end()) {
      auto value = *(at + 1);
      words.erase(at, at + 2);
      return value;
    }
  return {};
}

Result<int> exec(engine::Engine& engine, Words words, const Deadline& deadline) {
  engine::Exec command;
  command.guard = take(words, "--guard");
  if (take(words, "--in")) command.in = from_stdin();
  const auto pause = option(words, "--stall-ms");
  const auto stall = pause.empty() ? 0 : std::atoi(pause.c_str());
  const auto user = option(words, "--user");
  command.user = user;
  std::uint64_t seen = 0;
  command.out = [&](std::string_view bytes) -> Result<void> {
    if (stall > 0 && seen == 0) ::usleep(static_cast<useconds_t>(stall) * 1000);
    seen += bytes.size();
    return write_all(STDOUT_FILENO, bytes);
  };
  command.err = to_fd(STDERR_FILENO);
  command.argv.assign(words.begin() + 1, words.end());
  DM_TRY(const engine::ExecResult result, engine.exec(words[0], command, deadline));
  fmt::print(stderr, "exit {} out {} err {} certain {}\n", result.exit_code, result.out_bytes, result.err_bytes, result.certain);
  return result.exit_code;
}

Result<int> run(engine::Engine& engine, const std::string& what, Words words, const Deadline& deadline) {
  if (what == "ping") {
    DM_CHECK(engine.ping(deadline));
    fmt::print("{}\n", engine.description());
  } else if (what == "info") {
    DM_TRY(const engine::Info info, engine.info(deadline));
    fmt::print("{} {} api {} (server {}, min {}) cgroup {} v{} root {} memory {} cpus {} rootless {} id {}\n", info.product, info.server_version, info.api_version, info.server_api,
               info.min_api, info.cgroup_driver, info.cgroup_version, info.root_dir, info.memory, info.cpus, info.rootless, info.id);
  } else if (what == "ps") {
    DM_TRY(const auto list, engine.containers({words, {}, {}, {}, true}, deadline));
    for (const auto& one : list) fmt::print("{} {} {} {} {}\n", one.id.substr(0, 12), one.name, one.image, one.state, one.health);
  } else if (what == "inspect") {
    DM_TRY(const auto one, engine.container(words.at(0), deadline));
    fmt::print("{} {} exit {} oom {} pid {} memory {} pids {} cpus {} log {} restarts {} health '{}' log entries {}\n", one.name, one.state, one.exit_code, one.oom_killed, one.pid,
               one.limits.memory, one.limits.pids, one.limits.nano_cpus, one.log_driver, one.restart_count, one.health.status, one.health.log.size());
  } else if (what == "inspects") {  // each container with these labels
    DM_TRY(const auto list, engine.containers({words, {}, {}, {}, true}, deadline));
    for (const auto& one : list) {
      DM_TRY(const auto whole, engine.container(one.id, deadline));
      fmt::print("{} {} {}\n", whole.name, whole.state, whole.image_id);
    }
  } else if (what == "exec") {
    return exec(engine, words, deadline);
  } else if (what == "logs") {
    engine::LogQuery query;
    query.follow = take(words, "--follow");
    query.timestamps = take(words, "--timestamps");
    if (const auto tail = option(words, "--tail"); !tail.empty()) query.tail = std::atoi(tail.c_str());
    DM_CHECK(engine.logs(words.at(0), query, to_fd(STDOUT_FILENO), to_fd(STDERR_FILENO), deadline));
  } else if (what == "get") {
    DM_CHECK(engine.get_archive(words.at(0), words.at(1), to_fd(STDOUT_FILENO), deadline));
  } else if (what == "put") {
    DM_CHECK(engine.put_archive(words.at(0), words.at(1), from_stdin(), deadline));
  } else if (what == "stat") {
    DM_TRY(const auto stat, engine.stat(words.at(0), words.at(1), deadline));
    fmt::print("{} {} {:o} folder {}\n", stat.name, stat.size, stat.mode, stat.folder);
  } else if (what == "events") {
    engine::EventQuery query;
    query.types = {"container"};
    if (const auto since = option(words, "--since"); !since.empty()) query.since = std::atoll(since.c_str()) * 1'000'000'000;
    if (const auto until = option(words, "--until"); !until.empty()) query.until = std::atoll(until.c_str()) * 1'000'000'000;
    query.labels = words;
    DM_CHECK(engine.events(query, [] { fmt::print(stderr, "subscribed\n"); },
                           [](const engine::Event& event) -> Result<void> {
                             fmt::print("{} {} {} {}\n", event.type, event.action, event.id.substr(0, 12), event.attributes.contains("exitCode") ? event.attributes.at("exitCode") : "");
                             std::fflush(stdout);
                             return {};
                           },
                           deadline));
  } else if (what == "stats") {
    DM_TRY(const auto stats, engine.stats(words.at(0), deadline));
    fmt::print("cpu {} memory {} working set {} limit {} pids {}\n", stats.cpu_total, stats.memory_usage, stats.working_set, stats.memory_limit, stats.pids);
  } else if (what == "images") {
    DM_TRY(const auto list, engine.images(deadline));
    for (const auto& one : list) fmt::print("{} {} {}\n", one.id, one.size, one.tags.empty() ? "" : one.tags[0]);
  } else if (what == "df") {
    DM_TRY(const auto use, engine.disk_usage(deadline));
    fmt::print("images {} unused {} containers {} cache {} volumes {}\n", use.images, use.unused_images, use.containers, use.build_cache, use.volumes.size());
  } else if (what == "wait") {
    DM_TRY(const int code, engine.wait(words.at(0), deadline));
    fmt::print("{}\n", code);
  } else if (what == "act") {  // start stop kill pause unpause remove
    const auto& verb = words.at(0);
    const auto& id = words.at(1);
    if (verb == "start") DM_CHECK(engine.start(id, deadline));
    if (verb == "stop") DM_CHECK(engine.stop(id, 1, deadline));
    if (verb == "kill") DM_CHECK(engine.kill(id, "KILL", deadline));
    if (verb == "restart") DM_CHECK(engine.restart(id, 1, deadline));
    if (verb == "pause") DM_CHECK(engine.pause(id, deadline));
    if (verb == "unpause") DM_CHECK(engine.unpause(id, deadline));
    if (verb == "remove") DM_CHECK(engine.remove(id, true, true, deadline));
    if (verb == "rename") DM_CHECK(engine.rename(id, words.at(2), deadline));
    if (verb == "limit") DM_CHECK(engine.set_limits(id, {.memory = std::atoll(words.at(2).c_str()), .memory_swap = -1}, deadline));
    if (verb == "policy") DM_CHECK(engine.set_restart_policy(id, {words.at(2), 0}, deadline));
  } else if (what == "drill") {  // a whole throw-away set: network, volume, container; then gone
    const engine::Labels labels{{"datamancy.test", words.at(1)}};
    DM_TRY(const auto network, engine.create_network({words.at(1), labels, true, "bridge", ""}, deadline));
    DM_TRY(const auto volume, engine.create_volume(words.at(1), labels, deadline));
    engine::NewContainer wanted;
    wanted.name = words.at(1);
    wanted.image = words.at(0);
    wanted.command = {"sleep", "300"};
    wanted.labels = labels;
    wanted.env = {"COLOUR=blue"};
    wanted.network = words.at(1);
    wanted.aliases = {"db"};
    wanted.mounts = {{"volume", volume.name, "", "/data", true}, {"tmpfs", "", "", "/scratch", true}};
    wanted.limits.memory = 64 << 20;
    wanted.limits.pids = 50;
    wanted.limits.nano_cpus = 500'000'000;
    wanted.user = "daemon";
    DM_TRY(const auto id, engine.create(wanted, deadline));
    DM_CHECK(engine.start(id, deadline));
    DM_TRY(const auto made, engine.container(id, deadline));
    fmt::print("{} user {} memory {} pids {} cpus {} mounts {} networks {} aliases {} env {}\n", made.state, made.user, made.limits.memory, made.limits.pids, made.limits.nano_cpus,
               made.mounts.size(), made.networks.size(), fmt::join(made.networks.at(words.at(1)).aliases, ","), made.env.at(0));
    DM_CHECK(engine.disconnect(words.at(1), id, true, deadline));
    DM_CHECK(engine.connect(words.at(1), id, {"again"}, deadline));
    DM_CHECK(engine.remove(id, true, true, deadline));
    DM_CHECK(engine.remove_volume(volume.name, false, deadline));
    DM_CHECK(engine.remove_network(network, deadline));
  } else {
    return fail(Errc::invalid_input, "what?");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Words words(argv + 1, argv + argc);
  engine::Choice choice{option(words, "-H"), option(words, "--context")};
  const auto seconds = option(words, "--seconds");
  engine::Environment environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (const auto cut = text.find('='); cut != std::string_view::npos) environment.emplace(text.substr(0, cut), text.substr(cut + 1));
  }
  if (words.empty()) return 64;
  const auto what = words.front();
  words.erase(words.begin());
  const auto complain = [](const Error& error) {
    fmt::print(stderr, "{}: {}\n", to_string(error.code), error.describe());
    return 2;
  };
  const auto place = engine::find_engine(choice, environment, sources::disk());
  if (!place) return complain(place.error());
  auto engine = engine::open_engine(*place);
  if (!engine) return complain(engine.error());
  std::stop_source stop;
  static std::stop_source* to_stop = &stop;
  std::signal(SIGINT, [](int) { to_stop->request_stop(); });
  const auto done = run(**engine, what, words, Deadline::in(std::chrono::seconds(seconds.empty() ? 60 : std::atoi(seconds.c_str())), stop.get_token()));
  return done ? *done : complain(done.error());
}
