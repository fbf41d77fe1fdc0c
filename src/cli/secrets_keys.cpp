// secrets init, recipients, reseal: who can open what.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/files.hpp"
#include "base/process.hpp"
#include "cli/secrets.hpp"
#include "sources/git.hpp"

namespace dm::cli {
namespace {

/// Adds `line` to a text file unless it is there; true where it changed.
Result<bool> ensure_line(const std::string& path, std::string_view line) {
  std::string text;
  if (auto there = sources::disk().read(path, 1U << 20U)) text = std::move(*there);
  else if (there.error().code != Errc::not_found) return fail(there.error());
  if (("\n" + text + "\n").find(fmt::format("\n{}\n", line)) != std::string::npos) return false;
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  DM_CHECK(write_atomic(path, fmt::format("{}{}\n", text, line)));
  return true;
}

Result<void> set_up_git(const std::string& root, const std::string& folder) {
  const auto say = [&](std::string_view file) { fmt::print("wrote    {}\n", file); };
  bool attributes = false;
  for (const auto* line : {"*.enc.env diff=datamancy-secrets merge=datamancy-secrets", ".env.enc diff=datamancy-secrets merge=datamancy-secrets", "*.enc.yaml diff=datamancy-secrets",
                           "*.enc.json diff=datamancy-secrets", "*.enc.ini diff=datamancy-secrets"}) {
    DM_TRY(const bool changed, ensure_line(folder + "/.gitattributes", line));
    attributes = attributes || changed;
  }
  if (attributes) say(folder + "/.gitattributes");
  if (!sources::git_ignores(sources::disk(), root, folder + "/.env")) {
    DM_TRY(const bool changed, ensure_line(folder + "/.gitignore", ".env"));
    if (changed) say(folder + "/.gitignore");
  }
  if (!find_program("git")) return {};
  const std::pair<const char*, const char*> settings[] = {{"diff.datamancy-secrets.textconv", "datamancy secrets textconv"},
                                                          {"merge.datamancy-secrets.name", "three-way merge of sealed files by name"},
                                                          {"merge.datamancy-secrets.driver", "datamancy secrets merge %O %A %B %P"}};
  for (const auto& [name, value] : settings) DM_CHECK(run_fine({{"git", "-C", root, "config", name, value}}, {}, Deadline::in(std::chrono::seconds(10))));
  fmt::print("set      diff and merge of sealed files in the settings of this git work tree\n");
  return {};
}

Result<int> init(Args& args) {
  std::vector<std::string> recipients;
  for (std::string one; args.option("--recipient", one);) recipients.push_back(one);
  const bool no_git = args.has("--no-git");
  if (!args.words.empty()) return secrets_usage("init", fmt::format("'{}' is not known", args.words[0]));
  for (const auto& recipient : recipients)
    if (secrets::recipient_kind(recipient) == secrets::RecipientKind::unknown) return secrets_usage("init", fmt::format("'{}' is no recipient", recipient));

  const auto sources = key_sources(args);
  const auto key_file = secrets::key_file_path(sources);
  if (key_file.empty()) return fail(Errc::invalid_input, "neither HOME nor XDG_CONFIG_HOME is set: nowhere to put the key");
  auto made = secrets::create_key_file(key_file);
  if (!made && made.error().code != Errc::conflict) return fail(made.error());
  if (made) fmt::print("wrote    {} (mode 0600)\n", key_file);
  else fmt::print("kept     {}\n", key_file);
  DM_TRY(auto keys, secrets::Keyring::load(sources));
  DM_CHECK(keys.unlock());
  auto own = keys.recipients();
  for (const auto& recipient : own) fmt::print("key      {}\n", recipient);
  if (own.empty() && recipients.empty()) return secrets::fail_as(secrets::kNoKey, Errc::invalid_input, fmt::format("'{}' has no age key; name others by --recipient", key_file));

  const auto folder = project_folder(args);
  DM_TRY(const auto config, secrets::find_sops_config(sources::disk(), folder + "/secrets.enc.env"));
  if (config.path.empty()) {
    if (!own.empty()) recipients.insert(recipients.begin(), own[0]);
    DM_CHECK(write_atomic(folder + "/.sops.yaml", secrets::sops_config_text(recipients)));
    fmt::print("wrote    {}/.sops.yaml\n", folder);
  } else {
    fmt::print("kept     {}\n", config.path);
    if (!recipients.empty()) fmt::print("note     {} is not changed; add the recipients there yourself\n", config.path);
  }
  if (const auto root = sources::git_root(sources::disk(), folder + "/.env"); !root.empty() && !no_git) DM_CHECK(set_up_git(root, folder));
  if (made)
    fmt::print("\nWithout this key nothing sealed opens again. Now: print a copy ('datamancy secrets escrow print'), keep it in another place,\n"
               "and prove that it works ('datamancy secrets escrow drill').\n");
  return kClean;
}

Result<int> recipients(Args& args) {
  const std::string what = args.words.empty() || args.words[0].starts_with("--") ? "list" : args.words[0];
  if (!args.words.empty() && args.words[0] == what) args.words.erase(args.words.begin());
  DM_TRY(const auto path, chosen_file(args));
  if (what == "list") {
    if (!args.words.empty()) return secrets_usage("recipients", fmt::format("'{}' is not known", args.words[0]));
    auto text = sources::disk().read(path, secrets::kMaxSealed);
    if (!text) return secrets::fail_as(secrets::kNoSecrets, text.error().code, text.error().message);
    DM_TRY(const auto document, secrets::parse_sealed(*text));
    DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
    const auto own = keys.recipients();
    for (const auto& key : document.sops.age)
      fmt::print("{}{}\n", key.recipient, std::ranges::find(own, key.recipient) != own.end() ? "  (a key of yours)" : "");
    if (document.sops.foreign_keys()) fmt::print("and by PGP or a key service (kept as they are)\n");
    return kClean;
  }
  if (what != "add" && what != "remove") return secrets_usage("recipients", fmt::format("'{}' is not known: list, add or remove", what));
  if (args.words.empty()) return secrets_usage("recipients", "a recipient is missing");
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  std::vector<std::string> names;
  for (const auto& key : file.opened.document.sops.age) names.push_back(key.recipient);
  for (const auto& word : args.words) {
    const auto known = std::ranges::find(names, word);
    if (what == "add" && known == names.end()) names.push_back(word);
    if (what == "remove" && known == names.end()) return fail(Errc::not_found, fmt::format("'{}' is no recipient of '{}'", word.substr(0, 80), path));
    if (what == "remove") names.erase(known);
  }
  DM_TRY(const auto text, secrets::rewrap(file, names));
  DM_CHECK(secrets::replace_sealed(file, text));
  fmt::print("{} is sealed for {}; its values are as they were\n", path, counted(names.size(), "recipient"));
  if (what == "remove") {
    fmt::print("\nWho was removed can still read every old copy (git, backups), and knows this file's data key. Now:\n"
               "  datamancy secrets reseal {}\nand change the secrets themselves:", path);
    for (const auto& leaf : file.opened.document.leaves)
      if (leaf.type != secrets::LeafType::comment && !leaf.path.empty()) fmt::print(" {}", leaf.path.back());
    fmt::print("\n");
  }
  const auto config = secrets::find_sops_config(sources::disk(), path);
  if (config && !config->path.empty()) {
    const auto* rule = config->rule_for(path);
    auto expected = rule != nullptr ? rule->age : std::vector<std::string>{};
    auto have = names;
    std::ranges::sort(expected);
    std::ranges::sort(have);
    if (rule != nullptr && expected != have) fmt::print("note: {}:{} names other recipients than the file has now; change it too\n", config->path, rule->line);
  }
  return kClean;
}

Result<int> reseal(Args& args) {
  std::string path;
  if (!args.words.empty()) {
    path = absolute(args, args.words[0]);
    args.words.erase(args.words.begin());
  } else {
    DM_TRY(path, chosen_file(args));
  }
  if (!args.words.empty()) return secrets_usage("reseal", fmt::format("'{}' is not known", args.words[0]));
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  std::vector<std::string> names;
  for (const auto& key : file.opened.document.sops.age) names.push_back(key.recipient);
  DM_TRY(const auto text, secrets::reseal(file, names));
  DM_CHECK(secrets::replace_sealed(file, text));
  fmt::print("{}: new data key, {} sealed again for {}\n", path, counted(values_in(file.opened), "value"), counted(names.size(), "recipient"));
  if (file.opened.document.store == secrets::Store::dotenv) fmt::print("the next 'datamancy up' recreates the users of its values once: the marks on containers are keyed by the data key\n");
  return kClean;
}

int status_of(const Result<int>& result) { return result ? *result : complain(result.error()); }

}  // namespace

int secrets_init(Args& args) { return status_of(init(args)); }
int secrets_recipients(Args& args) { return status_of(recipients(args)); }
int secrets_reseal(Args& args) { return status_of(reseal(args)); }

}  // namespace dm::cli
