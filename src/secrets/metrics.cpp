#include "secrets/metrics.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <ctime>

#include "base/files.hpp"
#include "base/io.hpp"
#include "sources/files.hpp"

namespace dm::secrets {
namespace {

constexpr std::array kExits{kProgramMissing, kNoKey, kCannotDecrypt, kNoSecrets};
constexpr const char* kNodeExporter = "/var/lib/prometheus/node-exporter";

/// The number behind `name` in a text file of metrics; 0 where there is none.
std::int64_t number_after(std::string_view text, const std::string& name) {
  const auto at = ("\n" + std::string(text)).find("\n" + name + " ");
  std::int64_t out = 0;
  if (at != std::string::npos) std::from_chars(text.data() + at + name.size() + 1, text.data() + text.size(), out);
  return out;
}

/// When the key file says that it was made ("# created: 2026-11-26T15:00:00Z"), as age-keygen writes it, too.
std::optional<std::int64_t> key_made(const KeySources& sources) {
  const auto path = key_file_path(sources);
  auto read = path.empty() ? Result<std::string>(fail(Errc::not_found, "")) : sources::disk().read(path, 1U << 20U);
  if (!read) return std::nullopt;
  const auto text = SecretString::take(std::move(*read));
  constexpr std::string_view kCreated = "# created: ";
  const auto at = text.reveal().find(kCreated);
  if (at == std::string_view::npos) return std::nullopt;
  std::tm time{};
  const std::string when(text.reveal().substr(at + kCreated.size(), 20));
  if (::strptime(when.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) return std::nullopt;
  return ::timegm(&time);
}

}  // namespace

std::string metrics_folder(const KeySources& sources, bool root) {
  if (const auto found = sources.environment.find("DATAMANCY_METRICS"); found != sources.environment.end()) return found->second;
  return root && sources::disk().stat(kNodeExporter).kind == sources::Kind::directory ? kNodeExporter : "";
}

Result<void> count_run(const std::string& folder, const KeySources& sources, int exit, bool opened) {
  const Fd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Whoever may read the folder may hold its lock: nobody waits for that without end.
  bool held = false;
  for (int tries = 0; lock && !held && tries < 20; ++tries)
    if (held = ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0; !held) ::usleep(100'000);
  if (!held) return fail(errno_error(fmt::format("lock the folder for metrics '{}'", folder), errno));
  const auto path = folder + "/datamancy_secrets.prom";
  const auto before = sources::disk().read(path, 1U << 20U).value_or(std::string{});
  const std::string failures = "datamancy_secrets_failures_total", success = "datamancy_secrets_last_success_timestamp_seconds";
  std::string out = fmt::format("# HELP {0} Runs that ended without the secrets that they needed, by exit status (10 program missing, 11 no key, 12 damaged, 13 none).\n# TYPE {0} counter\n", failures);
  for (const auto one : kExits) {
    const auto name = fmt::format("{}{{exit=\"{}\"}}", failures, static_cast<int>(one));
    out += fmt::format("{} {}\n", name, number_after(before, name) + (exit == one ? 1 : 0));
  }
  const auto last = opened ? static_cast<std::int64_t>(std::time(nullptr)) : number_after(before, success);
  out += fmt::format("# HELP {0} When a sealed file was last opened.\n# TYPE {0} gauge\n{0} {1}\n", success, last);
  if (const auto made = key_made(sources)) out += fmt::format("# HELP {0} When the key was made.\n# TYPE {0} gauge\n{0} {1}\n", "datamancy_secrets_key_created_timestamp_seconds", *made);
  return write_atomic(path, out, 0644);
}

}  // namespace dm::secrets
