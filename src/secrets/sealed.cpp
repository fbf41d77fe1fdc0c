#include "secrets/sealed.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "base/files.hpp"
#include "secrets/crypto.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::secrets {
namespace {

Result<std::vector<AgeKey>> wrap_for(const SecretString& data_key, const std::vector<std::string>& recipients) {
  if (recipients.empty()) return fail(Errc::invalid_input, "no recipient to seal for");
  std::vector<AgeKey> out;
  for (const auto& recipient : recipients) {
    DM_TRY(auto sealed, wrap_data_key(data_key, recipient));
    out.push_back({recipient, std::move(sealed)});
  }
  return out;
}

}  // namespace

std::string now_utc() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Result<Opened> open_sealed_text(std::string_view text, Keyring& keys) {
  DM_TRY(auto document, parse_sealed(text));
  DM_TRY(auto key, keys.data_key(document.sops));
  return open_values(std::move(document), std::move(key));
}

Result<SealedFile> open_sealed(const std::string& path, Keyring& keys) {
  auto text = sources::disk().read(path, kMaxSealed);
  if (!text && text.error().code == Errc::not_found) return fail_as(kNoSecrets, Errc::not_found, fmt::format("there is no '{}'", path));
  if (!text) return fail(text.error());
  auto opened = during(fmt::format("opening '{}'", path), open_sealed_text(*text, keys));
  if (!opened) return fail(opened.error());
  return SealedFile{path, std::move(*text), std::move(*opened)};
}

Result<void> replace_sealed(const SealedFile& file, std::string_view text) {
  // The folder is locked, so that no lock file lies beside the sealed one.
  const Fd folder(::open(sources::parent_path(sources::clean_path(file.path)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::flock(folder.get(), LOCK_EX) != 0) return fail(errno_error(fmt::format("lock the folder of '{}'", file.path), errno));
  DM_TRY(const auto now, sources::disk().read(file.path, kMaxSealed));
  if (now != file.text) return fail(Errc::conflict, fmt::format("'{}' was changed by somebody else meanwhile; try again", file.path));
  return write_atomic(file.path, text);
}

namespace {

/// The texts that a document seals, in order.
std::vector<SecretString> values_of(const Document& plain) {
  std::vector<SecretString> out;
  for (const auto& leaf : plain.leaves)
    if (leaf.type != LeafType::comment) out.emplace_back(leaf.text.reveal());
  return out;
}

/// What is written must open again and say the same: a file that cannot be read is worse than an error now.
Result<void> reads_back(const std::string& text, const SecretString& data_key, const std::vector<SecretString>& wanted) {
  DM_TRY(auto parsed, parse_sealed(text));
  DM_TRY(const auto again, open_values(std::move(parsed), SecretString(data_key.reveal())));
  std::size_t at = 0;
  bool same = true;
  for (const auto& value : again.values)
    if (value.type != LeafType::comment) same = same && at < wanted.size() && value.plain == wanted[at++];
  if (!same || at != wanted.size()) return fail(Errc::failed, "what was sealed would not read back as it was meant; nothing was changed");
  return {};
}

}  // namespace

Result<bool> save_sealed(const SealedFile& file, Document plain) {
  const auto& before = file.opened;
  bool same = plain.leaves.size() == before.values.size() && plain.source == before.document.source;
  for (std::size_t i = 0; same && i < plain.leaves.size(); ++i)
    same = plain.leaves[i].path == before.document.leaves[i].path && plain.leaves[i].type == before.values[i].type && plain.leaves[i].text == before.values[i].plain;
  if (same) return false;
  const auto wanted = values_of(plain);
  DM_TRY(const auto text, sealed_text(seal_values(std::move(plain), before.data_key, now_utc(), &before)));
  DM_CHECK(during(fmt::format("reading '{}' back before it is changed", file.path), reads_back(text, before.data_key, wanted)));
  DM_CHECK(replace_sealed(file, text));
  return true;
}

Result<SealingPlan> plan_sealing(const std::string& file, Keyring& keys) {
  DM_TRY(const auto config, find_sops_config(sources::disk(), file));
  SealingPlan plan;
  if (!config.path.empty()) {
    const auto* rule = config.rule_for(file);
    if (rule == nullptr) return fail(Errc::invalid_input, fmt::format("{}: no creation rule fits '{}'; add one with a path_regex for it", config.path, file));
    plan.from = fmt::format("{}:{}", config.path, rule->line);
    if (!rule->unsupported.empty()) return fail(Errc::unsupported, fmt::format("{}: '{}' is not supported; seal this file with 'sops'", plan.from, rule->unsupported[0]));
    if (rule->age.empty()) return fail(Errc::invalid_input, fmt::format("{}: the rule names no age recipient", plan.from));
    plan.recipients = rule->age;
    plan.rule = rule->rule;
    plan.mac_only_encrypted = rule->mac_only_encrypted;
    return plan;
  }
  DM_CHECK(keys.unlock());
  plan.from = "the key file";
  plan.recipients = keys.recipients();
  if (plan.recipients.empty()) return fail_as(kNoKey, Errc::not_found, "there is no key and no .sops.yaml; run 'datamancy secrets init' first");
  return plan;
}

Result<std::string> seal_text(std::string_view plain, Store store, const SealingPlan& plan) {
  if (store == Store::dotenv) {
    std::string lines;
    for (const auto& trouble : dotenv_troubles(plain)) lines += fmt::format("\n  line {}: {}", trouble.line, trouble.what);
    if (!lines.empty()) return fail(Errc::invalid_input, "SOPS and Compose would read this text differently; mend first:" + lines);
  }
  DM_TRY(auto document, parse_plain(plain, store));
  const auto rule = plan.rule.value_or(Rule{});
  std::string open;
  for (const auto& leaf : document.leaves)
    if (store != Store::binary && leaf.type == LeafType::str && !leaf.text.empty() && sensitive::secret_name(leaf.path.back()) && !rule.seals(leaf.path)) open += " " + leaf.path.back();
  if (!open.empty()) return fail(Errc::invalid_input, fmt::format("the rule of {} would leave these in the clear:{}", plan.from, open));
  const bool any = std::ranges::any_of(document.leaves, [&](const Leaf& leaf) { return leaf.type != LeafType::comment && (store == Store::binary || rule.seals(leaf.path)); });
  if (!document.leaves.empty() && !any) return fail(Errc::invalid_input, fmt::format("the rule of {} would seal nothing in this file", plan.from));
  document.sops.rule = store == Store::binary ? std::nullopt : std::optional(rule);
  document.sops.mac_only_encrypted = plan.mac_only_encrypted;
  const auto data_key = random_secret(32);
  DM_TRY(document.sops.age, wrap_for(data_key, plan.recipients));
  const auto wanted = values_of(document);
  DM_TRY(auto text, sealed_text(seal_values(std::move(document), data_key, now_utc(), nullptr)));
  DM_CHECK(reads_back(text, data_key, wanted));
  return text;
}

Result<std::string> rewrap(const SealedFile& file, const std::vector<std::string>& recipients) {
  Document document = [&] {
    auto copy = plain_document(file.opened);  // paths, places and metadata; then the sealed texts again
    for (std::size_t i = 0; i < copy.leaves.size(); ++i) {
      copy.leaves[i].text = SecretString(file.opened.document.leaves[i].text.reveal());
      copy.leaves[i].type = file.opened.document.leaves[i].type;
    }
    return copy;
  }();
  std::vector<AgeKey> keys;
  for (const auto& recipient : recipients) {  // who stays keeps the bytes
    const auto known = std::ranges::find(document.sops.age, recipient, &AgeKey::recipient);
    if (known != document.sops.age.end()) {
      keys.push_back(*known);
      continue;
    }
    DM_TRY(auto sealed, wrap_data_key(file.opened.data_key, recipient));
    keys.push_back({recipient, std::move(sealed)});
  }
  if (keys.empty()) return fail(Errc::invalid_input, "the last recipient cannot be removed");
  document.sops.age = std::move(keys);
  return sealed_text(document);
}

Result<std::string> reseal(const SealedFile& file, const std::vector<std::string>& recipients) {
  if (file.opened.document.sops.foreign_keys())
    return fail(Errc::unsupported, fmt::format("'{}' can also be opened by PGP or a key service, which a new data key would lock out; use 'sops rotate'", file.path));
  auto plain = plain_document(file.opened);
  const auto data_key = random_secret(32);
  DM_TRY(plain.sops.age, wrap_for(data_key, recipients));
  return sealed_text(seal_values(std::move(plain), data_key, now_utc(), nullptr));
}

std::vector<std::string> sealed_env_files(const sources::Files& files, const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& name : files.list(folder)) {
    const bool named = name.ends_with(".enc.env") || name == ".enc.env" || name == ".env" || name.starts_with(".env.") || name.ends_with(".env.enc") || name.ends_with(".env.sops");
    if (!named) continue;
    const auto path = folder + "/" + name;
    if (files.stat(path).kind != sources::Kind::regular) continue;
    const auto text = files.read(path, kMaxSealed);
    const auto store = text ? sealed_store(*text) : std::nullopt;
    if (store && holds_variables(*store)) out.push_back(path);
  }
  return out;
}

}  // namespace dm::secrets
