// secrets doctor: what would hurt one day. Reads names and places; opens sealed values only to look for empty ones.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "base/json.hpp"
#include "cli/secrets.hpp"
#include "formats/dotenv.hpp"
#include "secrets/runtime_files.hpp"
#include "secrets/scan_tree.hpp"
#include "sensitive/sensitive.hpp"
#include "sources/git.hpp"
#include "wiring/secret_environment.hpp"

namespace dm::cli {
namespace {

enum class State { fine, warning, failing, unknown };
constexpr std::string_view word(State state) {
  switch (state) {
    case State::fine: return "ok";
    case State::warning: return "warning";
    case State::failing: return "failing";
    case State::unknown: return "unknown";
  }
  return "";
}

struct Check {
  State state;
  std::string id, what, mend;
};
using Checks = std::vector<Check>;

constexpr int kBackupDays = 180;  ///< a drill older than this proves little


void key_checks(const Args& args, const Result<secrets::Keyring>& keys, Checks& out) {
  const auto path = secrets::key_file_path(key_sources(args));
  if (!keys) return out.push_back({State::failing, "key", keys.error().message, "mend the key file; a copy is worth more than an edit"});
  struct stat file {};
  if (path.empty() || ::stat(path.c_str(), &file) != 0) {
    out.push_back({keys->empty() ? State::failing : State::warning, "key", keys->empty() ? fmt::format("no key: '{}' is absent", path) : "the key comes from the environment only", "datamancy secrets init"});
  } else if ((file.st_mode & 077U) != 0) {
    out.push_back({State::failing, "key-mode", fmt::format("'{}' has mode {:04o}: others can read the key", path, file.st_mode & 07777U), fmt::format("chmod 600 {}", path)});
  } else {
    out.push_back({State::fine, "key", fmt::format("'{}', mode {:04o}", path, file.st_mode & 07777U), ""});
  }
  const auto root = sources::git_root(sources::disk(), path);
  if (!root.empty() && !sources::git_ignores(sources::disk(), root, path)) out.push_back({State::failing, "key-in-git", fmt::format("the key lies in the git work tree '{}', and nothing ignores it", root), "move it to ~/.config/sops/age/keys.txt"});
}

/// Days since 1970 of "2026-11-25T...".
long day_of(std::string_view text) {
  int year = 0;
  unsigned month = 0, day = 0;
  if (text.size() < 10 || std::sscanf(std::string(text.substr(0, 10)).c_str(), "%d-%u-%u", &year, &month, &day) != 3) return 0;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  return date.ok() ? std::chrono::sys_days(date).time_since_epoch().count() : 0;
}

void backup_checks(const Args& args, const secrets::Keyring& keys, Checks& out) {
  const auto text = sources::disk().read(key_backups_path(args), 1U << 20U).value_or(std::string{});
  const auto today = day_of(secrets::now_utc());
  for (const auto& recipient : keys.recipients()) {
    std::set<std::string> places;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      const auto line = text.substr(at, end - at);
      at = end + 1;
      const auto first = line.find(' '), second = line.find(' ', first + 1);
      if (second == std::string::npos || line.substr(first + 1, second - first - 1) != recipient || today - day_of(line) > kBackupDays) continue;
      places.insert(line.substr(second + 1));
    }
    const auto* mend = "datamancy secrets escrow print (or save), keep it in another place, then: datamancy secrets escrow drill --place \"the safe\"";
    const auto what = fmt::format("{}... was proven by a drill from {} place{} in the last {} days", recipient.substr(0, 12), places.size(), places.size() == 1 ? "" : "s", kBackupDays);
    out.push_back({places.size() >= 2 ? State::fine : places.size() == 1 ? State::warning : State::failing, "key-backups", what + (places.size() >= 2 ? "" : "; two are wanted"), places.size() >= 2 ? "" : mend});
  }
}

void file_checks(const std::string& root, const secrets::Keyring& keys, Checks& out) {
  const auto files = secrets::sealed_files_below(root);
  if (files.empty()) return out.push_back({State::warning, "sealed", fmt::format("nothing sealed lies below '{}'", root), "datamancy secrets migrate, or datamancy secrets set NAME"});
  const auto own = keys.recipients();
  for (const auto& path : files) {
    const auto shown = std::string(sources::relative_to(path, root));
    const auto text = sources::disk().read(path, secrets::kMaxSealed).value_or(std::string{});
    const auto document = secrets::parse_sealed(text);
    if (!document) {
      out.push_back({State::failing, "readable", fmt::format("{}: {}", shown, document.error().message), "restore it from git or a backup"});
      continue;
    }
    std::vector<std::string> have;
    for (const auto& key : document->sops.age) have.push_back(key.recipient);
    const bool ours = std::ranges::any_of(have, [&](const std::string& one) { return std::ranges::find(own, one) != own.end(); });
    if (!ours && !own.empty()) out.push_back({State::warning, "opens", fmt::format("{} is sealed for no X25519 key of yours", shown), "have somebody who can open it run 'datamancy secrets recipients add'"});
    if (have.size() == 1 && !document->sops.foreign_keys()) out.push_back({State::warning, "one-recipient", fmt::format("{} opens with one key only", shown), "add the key of a second person or a recovery key: datamancy secrets recipients add"});
    if (const auto config = secrets::find_sops_config(sources::disk(), path); config && !config->path.empty()) {
      if (const auto* rule = config->rule_for(path); rule != nullptr) {
        auto wanted = rule->age;
        std::ranges::sort(wanted);
        std::ranges::sort(have);
        if (wanted != have) out.push_back({State::failing, "recipients", fmt::format("{}: recipients differ from {}:{}", shown, sources::file_name(config->path), rule->line), "datamancy secrets recipients add/remove, then reseal"});
      } else {
        out.push_back({State::warning, "recipients", fmt::format("{}: no rule of {} fits this file", shown, config->path), "add a creation rule with its path"});
      }
    } else if (!config) {
      out.push_back({State::failing, "recipients", config.error().message, "mend .sops.yaml"});
    }
    const auto rule = document->sops.rule.value_or(secrets::Rule{});
    for (const auto& leaf : document->leaves) {
      if (leaf.type == secrets::LeafType::comment || leaf.path.empty() || document->store == secrets::Store::binary) continue;
      if (const auto of = secrets::rotated_name(leaf.path.back()); !of.empty())
        out.push_back({State::warning, "rotation", fmt::format("{}: {} is left of a rotation that was cut off", shown, leaf.path.back()), fmt::format("datamancy secrets rotate {} --in {}", of, shown)});
      if (leaf.text.empty() && sensitive::secret_name(leaf.path.back())) out.push_back({State::warning, "empty", fmt::format("{}: {} is empty, and an empty value is protected by nothing (anybody can add such a line)", shown, leaf.path.back()), "set it, or take it out"});
      else if (!rule.seals(leaf.path) && sensitive::secret_name(leaf.path.back())) out.push_back({State::failing, "plain-value", fmt::format("{}: {} stands in plain text by the file's own rule", shown, leaf.path.back()), "change the rule and seal again"});
    }
    const auto name = std::string(sources::file_name(path));
    const auto folder = sources::parent_path(path);
    if (name == ".env") out.push_back({State::failing, "called-env", fmt::format("{} is sealed, and 'docker compose' alone would hand ENC[...] to the containers without a word", shown), "rename it to secrets.enc.env"});
    std::string twin;
    if (const auto at = name.rfind(".enc."); at != std::string::npos && at > 0) twin = folder + "/" + name.substr(0, at) + name.substr(at + 4);
    else if (name.ends_with(".enc")) twin = path.substr(0, path.size() - 4);
    if (!twin.empty() && sources::disk().stat(twin).kind == sources::Kind::regular && !secrets::sealed_store(sources::disk().read(twin, secrets::kMaxSealed).value_or(std::string{})))
      out.push_back({State::failing, "twin", fmt::format("{} lies in the clear beside {}", sources::relative_to(twin, root), shown), "delete the plain one"});
  }
  out.push_back({State::fine, "sealed", fmt::format("{} sealed files", files.size()), ""});
}

/// Plain env files that still hold secrets beside the sealed ones.
void plain_checks(const std::string& folder, Checks& out) {
  for (const auto& name : sources::disk().list(folder)) {
    if (name != ".env" && !name.ends_with(".env")) continue;
    const auto path = folder + "/" + name;
    const auto text = sources::disk().read(path, secrets::kMaxSealed).value_or(std::string{});
    if (text.empty() || secrets::sealed_store(text)) continue;
    std::string names;
    for (const auto& entry : formats::parse_dotenv_raw(text).entries)
      if (sensitive::secret_name(entry.key) && secrets::value_kind(entry.value) == secrets::ValueKind::literal) names += " " + entry.key;
    if (names.empty()) continue;
    const auto mode = sources::disk().stat(path).mode;
    out.push_back({State::failing, "plain-env", fmt::format("{} (mode {:04o}) holds secrets in the clear:{}", name, mode, names), fmt::format("datamancy secrets migrate {}", name)});
    const auto root = sources::git_root(sources::disk(), path);
    if (root.empty()) continue;
    const auto index = sources::disk().read(root + "/.git/index");
    const auto tracked = index ? sources::git_index_paths(*index) : Result<std::vector<std::string>>(fail(Errc::not_found, ""));
    if (tracked && std::ranges::find(*tracked, sources::relative_to(path, root)) != tracked->end()) out.push_back({State::failing, "tracked", fmt::format("git tracks {}", name), fmt::format("git rm --cached {}; then change its secrets", name)});
  }
}

void host_checks(Checks& out) {
  const auto swaps = sources::disk().read("/proc/swaps", 1U << 20U);
  if (!swaps) return out.push_back({State::unknown, "swap", "/proc/swaps cannot be read", ""});
  std::string open;
  for (std::size_t at = swaps->find('\n'); at != std::string::npos && at + 1 < swaps->size();) {
    const auto end = std::min(swaps->find('\n', at + 1), swaps->size());
    const auto device = swaps->substr(at + 1, swaps->find_first_of(" \t", at + 1) - at - 1);
    at = end == swaps->size() ? std::string::npos : end;
    if (device.empty() || device.starts_with("/dev/zram")) continue;
    const auto mapper = device.starts_with("/dev/dm-") ? sources::disk().read("/sys/block/" + device.substr(5) + "/dm/uuid", 4096) : Result<std::string>(fail(Errc::not_found, ""));
    if (!mapper || !mapper->starts_with("CRYPT-")) open += " " + device;
  }
  out.push_back({open.empty() ? State::fine : State::warning, "swap", open.empty() ? "no swap, or swap in memory or encrypted" : "memory can be written to a disk in the clear:" + open, open.empty() ? "" : "encrypt the swap, or switch it off"});
}

void project_checks(Args& args, const std::string& folder, Checks& out) {
  auto sealed = secrets::placeholders_for(folder, args.project, {args.project.environment, {}, true});
  auto options = args.project;
  options.lenient = true;
  add_to(options, sealed, folder);
  const secrets::UnsealedFiles files(sealed, secrets::UnsealedFiles::Show::placeholders);
  const auto loaded = secrets::load_with_placeholders(options, sealed, files, {args.project.environment, {}, true});
  if (!loaded.usable || loaded.project->services.empty()) return;
  const product::Catalogue products;
  std::map<std::string, std::string> can, cannot;
  for (const auto& service : loaded.project->services) {
    if (!service.enabled) continue;
    for (const auto& one : wiring::secrets_in_environment(service, wiring::product_of(*loaded.project, service, products))) {
      if (one.form == nullptr) cannot[std::string(service.name)] += fmt::format(" {}", one.variable->name);
      else if (!sensitive::made_of_sealed(one.variable->value.value)) can[std::string(service.name)] += fmt::format(" {}", one.variable->name);
    }
  }
  for (const auto& [service, names] : can) out.push_back({State::warning, "could-be-file", fmt::format("{}: its image takes these from files, and they are not sealed:{}", service, names), "seal them; 'datamancy up' and 'secrets deliver' then hand them over as files"});
  for (const auto& [service, names] : cannot) out.push_back({State::warning, "by-environment", fmt::format("{}: only by environment, which the engine keeps in its own files and shows in inspect:{}", service, names), "nothing to do but to know it, unless the image learns to read files"});
}

Result<int> doctor(Args& args) {
  const bool json = args.has("--json");
  if (!args.words.empty()) return secrets_usage("doctor", fmt::format("'{}' is not known", args.words[0]));
  const auto folder = project_folder(args);
  Checks checks;
  auto keys = secrets::Keyring::load({args.project.environment, {}, true});
  key_checks(args, keys, checks);
  if (keys) {
    backup_checks(args, *keys, checks);
    file_checks(folder, *keys, checks);
  }
  for (const auto& file : sealed_env_files(args))
    if (!file.read()) checks.push_back({State::warning, "not-read", fmt::format("{} is sealed, and {}", sources::relative_to(file.path, folder), kNotRead), ""});
  plain_checks(folder, checks);
  host_checks(checks);
  project_checks(args, folder, checks);
  const auto failing = std::ranges::count(checks, State::failing, &Check::state), warnings = std::ranges::count(checks, State::warning, &Check::state);
  if (json) {
    JsonWriter out;
    out.begin_object().key("version").value(std::int64_t{1}).key("checks").begin_array();
    for (const auto& check : checks) out.begin_object().key("id").value(check.id).key("state").value(word(check.state)).key("what").value(check.what).key("mend").value(check.mend).end();
    out.end().end();
    fmt::print("{}\n", out.take());
  } else {
    for (const auto& check : checks) {
      fmt::print("{:8} {}\n", word(check.state), check.what);
      if (!check.mend.empty()) fmt::print("         {}\n", check.mend);
    }
    fmt::print("\n{} failing, {} warnings\n", failing, warnings);
  }
  return failing > 0 ? kFindings : kClean;
}

}  // namespace

int secrets_doctor(Args& args) {
  const auto result = doctor(args);
  return result ? *result : complain(result.error());
}

}  // namespace dm::cli
