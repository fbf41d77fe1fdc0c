/// Valkey and Redis: a snapshot over the replication protocol, as the server's own client asks for it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "backup/driver.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/inside.hpp"
#include "backup/rdb_stream.hpp"

namespace dm::backup {
namespace {

/// Finds the password where the server got it, inside the container: environment, command line, configuration file.
constexpr std::string_view kClient = R"sh(
pw=${REDISCLI_AUTH:-${VALKEY_PASSWORD:-${REDIS_PASSWORD:-}}}
for f in "${VALKEY_PASSWORD_FILE:-}" "${REDIS_PASSWORD_FILE:-}"; do
  if [ -z "$pw" ] && [ -n "$f" ] && [ -r "$f" ]; then pw=$(cat "$f"); fi
done
port=6379
if [ -n "${DATAMANCY_STAND_IN:-}" ]; then
  pw=
else
  [ -n "$pw" ] || pw=${DATAMANCY_PASSWORD:-}
  port=${DATAMANCY_PORT:-6379}
  # A password may stand in a secret that the image's health check or configuration reads.
  for f in "${DATAMANCY_CONF:-}" /run/secrets/valkey_password /run/secrets/redis_password; do
    [ -z "$pw" ] && [ -n "$f" ] && [ -r "$f" ] || continue
    case $f in
      *.conf) pw=$(sed -n 's/^[[:space:]]*requirepass[[:space:]]*//p' "$f" | tail -n 1 | sed 's/^"\(.*\)"[[:space:]]*$/\1/') ;;
      *) pw=$(cat "$f") ;;
    esac
  done
fi
if [ -n "$pw" ]; then REDISCLI_AUTH=$pw; export REDISCLI_AUTH; fi
case $port in *[!0-9]*|'') port=6379 ;; esac
for name in valkey-cli redis-cli; do
  if command -v "$name" >/dev/null 2>&1; then exec "$name" -p "$port" "$@"; fi
done
echo "neither valkey-cli nor redis-cli is in this image" >&2
exit 127
)sh";

/// Starts a server of our own on the snapshot that comes in.
constexpr std::string_view kLoad = R"sh(
set -e
dir=/tmp/datamancy-stand-in
mkdir -p "$dir"
cat >"$dir/dump.rdb"
for name in valkey-server redis-server; do
  if command -v "$name" >/dev/null 2>&1; then
    # With appendonly a snapshot would be ignored.
    exec "$name" --dir "$dir" --dbfilename dump.rdb --appendonly no --save '' --bind 127.0.0.1 --daemonize yes --logfile "$dir/log"
  fi
done
exit 127
)sh";

constexpr std::string_view kCheck = R"sh(
for name in valkey-check-rdb redis-check-rdb; do
  if command -v "$name" >/dev/null 2>&1; then exec "$name" /tmp/datamancy-stand-in/dump.rdb; fi
done
exit 127
)sh";

/// Password, port and configuration file as the server's command line names them: the running process hides it. They go the way of
/// an exec's environment, which shows nowhere.
Result<Inside> client(engine::Engine& engine, const Target& target, std::vector<std::string> words, const Deadline& deadline) {
  Inside out{.name = "valkey-cli", .script = kClient, .words = std::move(words)};
  DM_TRY(const auto container, engine.container(target.container, deadline.at_most(std::chrono::seconds(20))));
  auto line = container.entrypoint;
  line.insert(line.end(), container.command.begin(), container.command.end());
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == "--requirepass" && i + 1 < line.size()) out.env.push_back("DATAMANCY_PASSWORD=" + line[i + 1]);
    if (line[i] == "--port" && i + 1 < line.size() && line[i + 1].find_first_not_of("0123456789") == std::string::npos) out.env.push_back("DATAMANCY_PORT=" + line[i + 1]);
    if (line[i].ends_with(".conf") && line[i].starts_with('/')) out.env.push_back("DATAMANCY_CONF=" + line[i]);
  }
  return out;
}

Result<std::string> ask(engine::Engine& engine, const Target& target, std::vector<std::string> words, const Deadline& deadline) {
  words.insert(words.begin(), "-e");  // else it ends with 0 on an error reply
  DM_TRY(auto inside, client(engine, target, std::move(words), deadline));
  DM_TRY(auto result, run_inside(engine, target.container, std::move(inside), deadline.at_most(std::chrono::minutes(1))));
  return std::move(result.out);
}

std::string field(std::string_view info, std::string_view name) {
  const auto key = fmt::format("{}:", name);
  for (std::size_t at = info.find(key); at != std::string_view::npos; at = info.find(key, at + 1)) {
    if (at > 0 && info[at - 1] != '\n') continue;
    const auto rest = info.substr(at + key.size());
    return std::string(rest.substr(0, rest.find_first_of("\r\n")));
  }
  return {};
}

class Valkey final : public Driver {
 public:
  std::string_view kind() const override { return "valkey"; }
  std::string_view title() const override { return "Valkey"; }

  Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto info, ask(engine, target, {"INFO"}, deadline));
    target.facts["version"] = field(info, "valkey_version").empty() ? field(info, "redis_version") : field(info, "valkey_version");
    target.facts["appendonly"] = field(info, "aof_enabled") == "1" ? "yes" : "no";
    if (field(info, "cluster_enabled") == "1") return fail(Errc::unsupported, "it is a node of a cluster: each node has a part only");
    target.identity = field(info, "master_replid");
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine&, const Target&, const Deadline&) const override { return std::vector<Item>{{.name = "snapshot", .file = "dump.rdb"}}; }

  Result<void> dump(engine::Engine& engine, const Target& target, const Item&, const Sink& out, std::vector<std::string>&, const Deadline& deadline) const override {
    // After the snapshot the client passes on the protocol's end mark of 40 characters, which is no part of the file.
    constexpr std::size_t kMark = 40;
    std::string tail;
    DM_TRY(auto inside, client(engine, target, {"--rdb", "-"}, deadline));
    inside.out = [&](std::string_view bytes) -> Result<void> {
      if (bytes.size() >= kMark) {
        if (!tail.empty()) DM_CHECK(out(tail));
        DM_CHECK(out(bytes.substr(0, bytes.size() - kMark)));
        tail = bytes.substr(bytes.size() - kMark);
        return {};
      }
      tail.append(bytes);
      if (tail.size() <= kMark) return {};
      const auto give = tail.substr(0, tail.size() - kMark);
      tail.erase(0, tail.size() - kMark);
      return out(give);
    };
    DM_CHECK(run_inside(engine, target.container, std::move(inside), deadline));
    // The snapshot's own last nine bytes begin with 0xFF, so that they are never taken for a mark.
    const bool mark = tail.size() == kMark && std::ranges::all_of(tail, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    return mark ? Result<void>() : tail.empty() ? Result<void>(fail(Errc::corrupt, "the server sent nothing")) : out(tail);
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<RdbStream>(); }

  Result<engine::NewContainer> stand_in(const Target& target) const override {
    engine::NewContainer out;
    out.image = target.image_id;
    out.network = "none";
    out.env = {"DATAMANCY_STAND_IN=1"};
    out.entrypoint = {"sh", "-c", "while :; do sleep 3600; done"};
    out.init = true;
    return out;
  }

  Result<void> await(engine::Engine&, const Target&, const Deadline&) const override { return {}; }  // the server starts with its data

  Result<void> restore(engine::Engine& engine, const Target& target, const Item&, const Source& in, const RestoreInto&, const Deadline& deadline) const override {
    if (!target.facts.contains("stand_in")) return fail(Errc::unsupported, "a running Valkey is not written to; 'backup restore --to' writes the snapshot into a folder");
    DM_CHECK(run_inside(engine, target.container, {.name = "valkey-cli", .script = kLoad, .in = in}, deadline));
    const auto until = deadline.at_most(std::chrono::minutes(10));
    std::string last;
    while (true) {
      auto info = ask(engine, target, {"INFO", "persistence"}, until);
      if (info && field(*info, "loading") == "0") return {};
      last = info ? "it is loading" : info.error().message;
      if (until.stopped()) return fail(Errc::conflict, "interrupted");
      const auto log = run_inside(engine, target.container, {.name = "valkey-cli", .script = "tail -n 3 /tmp/datamancy-stand-in/log; pgrep valkey-server >/dev/null || pgrep redis-server >/dev/null || [ ! -x \"$(command -v pgrep)\" ]"}, until);
      if (!log && log.error().code == Errc::failed) return fail(Errc::corrupt, "the server does not load this snapshot");
      if (until.passed()) return fail(Errc::timeout, fmt::format("the server did not load the snapshot: {}", last));
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }

  Result<std::string> check(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    auto checked = run_inside(engine, target.container, {.name = "valkey-cli", .script = kCheck}, deadline);
    if (!checked && checked.error().message.find("127") != std::string::npos) return std::string("loaded by the server; no check program in the image");
    if (!checked) return fail(Errc::corrupt, fmt::format("valkey-check-rdb: {}", checked.error().message));
    return std::string("loaded by the server, valkey-check-rdb clean");
  }

  Compare comparison(const Target&, const Target&) const override { return Compare::everything; }
};

}  // namespace

const Driver& valkey_driver() {
  static const Valkey driver;
  return driver;
}

}  // namespace dm::backup
