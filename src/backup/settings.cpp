#include "backup/settings.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "backup/discover.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "formats/settings.hpp"

namespace dm::backup {
namespace {

std::optional<unsigned> number(std::string_view text) {
  unsigned out = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return out;
}

/// The first line of a small file.
Result<std::string> first_line(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(errno_error(fmt::format("open {}", path), errno));
  DM_TRY(std::string text, read_some(file.get(), 65536));
  text.erase(std::min(text.find_first_of("\r\n"), text.size()));
  if (text.empty()) return fail(Errc::invalid_input, fmt::format("{}: its first line, the password, is empty", path));
  return text;
}

std::string absolute(const std::string& path, const std::string& folder) { return sources::clean_path(path, folder); }

std::string value_of(const std::map<std::string, std::string, std::less<>>& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

}  // namespace

const RepositorySettings* Settings::find(std::string_view name) const {
  const auto found = std::ranges::find_if(repositories, [&](const RepositorySettings& item) { return item.location.name == name; });
  return found == repositories.end() ? nullptr : &*found;
}

const RepositorySettings* Settings::primary() const {
  const auto found = std::ranges::find_if(repositories, [](const RepositorySettings& item) { return item.copy_of.empty(); });
  return found == repositories.end() ? nullptr : &*found;
}

std::int64_t seconds_of(std::string_view text) {
  std::int64_t amount = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const std::string_view unit(stop, static_cast<std::size_t>(text.data() + text.size() - stop));
  if (error != std::errc() || amount <= 0 || amount > 1'000'000) return 0;
  if (unit == "s") return amount;
  if (unit == "m") return amount * 60;
  if (unit == "h") return amount * 3600;
  if (unit == "d") return amount * 86400;
  return 0;
}

Result<Settings> parse_settings(std::string_view yaml) {
  Settings out;
  if (yaml.empty()) {
    out.by_default = true;
    return out;
  }
  DM_TRY(const auto settings, formats::read_settings(formats::Format::yaml, yaml));
  const auto wrong = [](std::string_view key, std::string_view why) { return fail(Errc::invalid_input, fmt::format(".datamancy.yml: {}: {}", key, why)); };
  for (const auto& setting : settings) {
    std::string_view key = setting.key;
    if (!key.starts_with("backup.")) continue;
    key.remove_prefix(7);
    const auto& value = setting.value;
    if (key.starts_with("repositories.")) {
      key.remove_prefix(13);
      const auto cut = key.find('.');
      if (cut == std::string_view::npos) return wrong(setting.key, "is no mapping; expected url, kind, password_file ...");
      const auto name = key.substr(0, cut);
      key.remove_prefix(cut + 1);
      if (out.find(name) == nullptr) {
        RepositorySettings made;
        made.location.name = name;
        made.location.kind = "restic";
        out.repositories.push_back(std::move(made));
      }
      auto& repository = *std::ranges::find_if(out.repositories, [&](const RepositorySettings& item) { return item.location.name == name; });
      if (key == "kind") repository.location.kind = value;
      else if (key == "url") repository.location.url = value;
      else if (key == "password_file") repository.password_file = value;
      else if (key == "password_secret") repository.password_secret = value;
      else if (key.starts_with("password_command.")) repository.password_command.push_back(value);
      else if (key == "env_file") repository.env_file = value;
      else if (key == "copy_of") repository.copy_of = value;
      else if (key == "append_only") repository.append_only = value == "true" || value == "yes";
      else if (key.starts_with("options.")) repository.location.options.push_back(value);
      else if (key == "stall_timeout") {
        repository.location.stall = seconds_of(value);
        if (repository.location.stall < kLeastStall) return wrong(setting.key, fmt::format("is no duration like 10m of at least {}s", kLeastStall));
      } else if (key == "upload_limit" || key == "download_limit") {
        const auto limit = number(value);
        if (!limit) return wrong(setting.key, "is no number of KiB/s");
        (key == "upload_limit" ? repository.location.upload_limit : repository.location.download_limit) = *limit;
      } else return wrong(setting.key, "is not known");
    } else if (key.starts_with("keep.")) {
      key.remove_prefix(5);
      const auto count = number(value);
      if (!count) return wrong(setting.key, "is no number");
      if (key == "latest") out.keep.latest = *count;
      else if (key == "hourly") out.keep.hourly = *count;
      else if (key == "daily") out.keep.daily = *count;
      else if (key == "weekly") out.keep.weekly = *count;
      else if (key == "monthly") out.keep.monthly = *count;
      else if (key == "annual") out.keep.annual = *count;
      else return wrong(setting.key, "is not known (latest, hourly, daily, weekly, monthly, annual)");
    } else if (key.starts_with("tiers.")) {
      const auto tier = key.substr(6, key.find('.', 6) - 6);
      if (!is_tier(tier)) return wrong(setting.key, "is no tier (critical, standard, low)");
      out.tiers[value] = tier;
    } else if (key.starts_with("exclude.")) {
      out.exclude.push_back(value);
    } else if (key == "objective") {
      out.objective = seconds_of(value);
      if (out.objective == 0) return wrong(setting.key, "is no duration like 24h");
    } else if (key == "quiesce_limit") {
      out.quiesce_limit = seconds_of(value);
      if (out.quiesce_limit == 0) return wrong(setting.key, "is no duration like 5m");
    } else if (key == "databases" || key == "volumes") {
      const bool clock = value.size() == 5 && value[2] == ':' && number(value.substr(0, 2)).value_or(24) < 24 && number(value.substr(3)).value_or(60) < 60;
      if (!clock && seconds_of(value) < 300) return wrong(setting.key, "is neither a time like 02:00 nor a duration like 6h of at least 5m");
      (key == "databases" ? out.databases : out.volumes) = value;
    } else {
      return wrong(setting.key, "is not known (repositories, keep, exclude, tiers, quiesce_limit, objective, databases, volumes)");
    }
  }
  for (const auto& repository : out.repositories) {
    if (repository.location.url.empty()) return wrong("backup.repositories." + repository.location.name, "has no url");
    if (!repository.copy_of.empty() && out.find(repository.copy_of) == nullptr) return wrong("backup.repositories." + repository.location.name, fmt::format("is a copy of '{}', which is not declared", repository.copy_of));
  }
  out.by_default = out.repositories.empty();
  return out;
}

RepositorySettings default_repository(std::string_view project, const std::map<std::string, std::string, std::less<>>& environment, bool root) {
  RepositorySettings out;
  out.location.name = "local";
  out.location.kind = "restic";
  const auto home = value_of(environment, "HOME");
  auto data = value_of(environment, "XDG_DATA_HOME");
  auto config = value_of(environment, "XDG_CONFIG_HOME");
  if (!data.starts_with('/')) data = home + "/.local/share";
  if (!config.starts_with('/')) config = home + "/.config";
  out.location.url = root ? fmt::format("/var/backups/datamancy/{}", project) : fmt::format("{}/datamancy/backups/{}", data, project);
  out.password_file = root ? "/etc/datamancy/backup.key" : config + "/datamancy/backup.key";
  return out;
}

Result<Location> with_password(const RepositorySettings& settings, const std::string& folder, bool invent, bool& made) {
  made = false;
  Location out = settings.location;
  if (out.url.starts_with("./") || out.url.starts_with("../")) out.url = absolute(out.url, folder);
  if (!settings.env_file.empty()) {
    const auto path = absolute(settings.env_file, folder);
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail(errno_error(fmt::format("open {}, the credentials of repository '{}'", path, out.name), errno));
    DM_TRY(const std::string text, read_some(file.get(), 1 << 20));
    for (std::string_view rest = text; !rest.empty();) {
      const auto end = std::min(rest.find('\n'), rest.size());
      const auto line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const auto cut = line.find('=');
      if (cut != std::string_view::npos && !line.starts_with('#')) out.env.emplace(line.substr(0, cut), line.substr(cut + 1));
    }
  }
  if (!out.password.empty()) return out;  // it came from a sealed secret
  if (!settings.password_command.empty()) {
    DM_TRY(const Finished finished, during(fmt::format("asking for the password of repository '{}'", out.name), run_fine({.argv = settings.password_command, .folder = folder}, {}, Deadline::in(std::chrono::minutes(1)))));
    out.password = finished.out.substr(0, finished.out.find_first_of("\r\n"));
  } else if (!settings.password_file.empty()) {
    const auto path = absolute(settings.password_file, folder);
    auto line = first_line(path);
    if (!line && line.error().code == Errc::not_found && invent) {
      unsigned char random[24];
      if (::getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) return fail(errno_error("getrandom", errno));
      std::string secret;
      for (const unsigned char byte : random) secret += fmt::format("{:02x}", byte);
      DM_CHECK(make_folders(path.substr(0, path.rfind('/')), 0700));
      DM_CHECK(write_atomic(path, secret + "\n", 0600));
      made = true;
      line = secret;
    }
    if (!line) {
      auto error = std::move(line).error();
      error.during.push_back(fmt::format("looking for the password of repository '{}'", out.name));
      if (error.code == Errc::not_found) error.exit = 11;
      return fail(std::move(error));
    }
    out.password = *std::move(line);
  }
  if (out.password.empty()) return fail(Error{Errc::not_found, fmt::format("repository '{}' has no password: give it password_file, password_command or password_secret in .datamancy.yml, or --password-file", out.name), {}, 11});
  return out;
}

}  // namespace dm::backup
