#include "secrets/sops.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "secrets/crypto.hpp"

namespace dm::secrets {
namespace {

/// "DB_PASSWORD", "a.b.c": how a leaf is called in messages.
std::string name_of(const Leaf& leaf) {
  std::string out;
  for (const auto& key : leaf.path) out += (out.empty() ? "" : ".") + key;
  return out.empty() ? "a comment" : "'" + out + "'";
}

std::optional<LeafType> type_named(std::string_view name) {
  for (const auto type : {LeafType::str, LeafType::integer, LeafType::floating, LeafType::boolean, LeafType::time, LeafType::bytes, LeafType::comment})
    if (to_string(type) == name) return type;
  return std::nullopt;
}

/// The MAC's input byte by byte as the leaves come.
class Mac {
 public:
  explicit Mac(bool only_sealed) : only_sealed_(only_sealed) {
    if (only_sealed_) hash_.add(sha256("sops"));
  }
  void add(std::string_view plain, LeafType type, bool sealed_by_rule) {
    if (type == LeafType::comment || (only_sealed_ && !sealed_by_rule)) return;
    hash_.add(plain);
  }
  std::string text() { return hex(hash_.finish(), /*upper=*/true); }

 private:
  Sha512 hash_;
  bool only_sealed_;
};

/// bool as it goes into the MAC and into a sealed value.
bool truth_of(std::string_view text) { return text == "True" || text == "true" || text == "TRUE" || text == "t" || text == "T" || text == "1"; }

}  // namespace

std::string_view to_string(Store store) {
  switch (store) {
    case Store::dotenv: return "dotenv";
    case Store::json: return "json";
    case Store::yaml: return "yaml";
    case Store::ini: return "ini";
    case Store::binary: return "binary";
  }
  return "";
}

std::string_view to_string(LeafType type) {
  switch (type) {
    case LeafType::str: return "str";
    case LeafType::integer: return "int";
    case LeafType::floating: return "float";
    case LeafType::boolean: return "bool";
    case LeafType::time: return "time";
    case LeafType::bytes: return "bytes";
    case LeafType::comment: return "comment";
  }
  return "";
}

std::string_view to_string(Rule::Kind kind) {
  switch (kind) {
    case Rule::Kind::unencrypted_suffix: return "unencrypted_suffix";
    case Rule::Kind::encrypted_suffix: return "encrypted_suffix";
    case Rule::Kind::unencrypted_regex: return "unencrypted_regex";
    case Rule::Kind::encrypted_regex: return "encrypted_regex";
  }
  return "";
}

Result<Rule> make_rule(Rule::Kind kind, std::string text) {
  Rule rule{kind, std::move(text), {}};
  if (kind == Rule::Kind::unencrypted_regex || kind == Rule::Kind::encrypted_regex) {
    DM_TRY(rule.pattern, Pattern::compile(rule.text));
  }
  return rule;
}

bool Rule::seals(const std::vector<std::string>& path) const {
  const auto any = [&](auto&& test) { return std::ranges::any_of(path, test); };
  switch (kind) {
    case Kind::unencrypted_suffix: return !any([&](const std::string& key) { return key.ends_with(text); });
    case Kind::encrypted_suffix: return any([&](const std::string& key) { return key.ends_with(text); });
    case Kind::unencrypted_regex: return !any([&](const std::string& key) { return pattern->search(key); });
    case Kind::encrypted_regex: return any([&](const std::string& key) { return pattern->search(key); });
  }
  return true;
}

std::string aad_of(const std::vector<std::string>& path) {
  std::string out;
  for (const auto& key : path) out += key + ":";
  return out.empty() ? ":" : out;
}

std::optional<SealedValue> parse_sealed_value(std::string_view text) {
  constexpr std::string_view kBegin = "ENC[AES256_GCM,data:";
  if (!text.starts_with(kBegin) || !text.ends_with(']')) return std::nullopt;
  text.remove_prefix(kBegin.size());
  text.remove_suffix(1);
  SealedValue out;
  const auto part = [&](std::string_view next, std::string& to) {
    const auto cut = text.find(next);
    if (cut == std::string_view::npos || cut == 0) return false;
    const auto bytes = unbase64(text.substr(0, cut), /*padded=*/true);
    text.remove_prefix(cut + next.size());
    if (bytes) to = *bytes;
    return bytes.has_value();
  };
  if (!part(",iv:", out.data) || !part(",tag:", out.iv) || !part(",type:", out.tag) || text.empty()) return std::nullopt;
  out.type = text;
  return out;
}

std::string seal_value(const SecretString& key, std::string_view aad, std::string_view plain, LeafType type, std::string_view iv) {
  const auto sealed = gcm_seal(key, iv, aad, plain);
  return fmt::format("ENC[AES256_GCM,data:{},iv:{},tag:{},type:{}]", base64(sealed.data, true), base64(iv, true), base64(sealed.tag, true), to_string(type));
}

std::optional<std::string> normal_time(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() < kShape.size() + 1) return std::nullopt;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t i = 0; i < kShape.size(); ++i)
    if (kShape[i] == '0' ? !digit(text[i]) : text[i] != kShape[i]) return std::nullopt;
  std::string out(text.substr(0, kShape.size()));
  text.remove_prefix(kShape.size());
  if (text[0] == '.' || text[0] == ',') {
    std::size_t end = 1;
    while (end < text.size() && digit(text[end])) ++end;
    if (end == 1) return std::nullopt;
    text.remove_prefix(end);
  }
  if (text == "Z") return out + "Z";
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || !digit(text[1]) || !digit(text[2]) || !digit(text[4]) || !digit(text[5])) return std::nullopt;
  return out + (text.substr(1) == "00:00" ? "Z" : std::string(text));
}

Result<Opened> open_values(Document document, SecretString data_key) {
  if (data_key.size() != 32) return undecryptable("the data key has not 32 bytes");
  const auto& sops = document.sops;
  const Rule rule = sops.rule.value_or(Rule{});
  const auto modified = normal_time(sops.last_modified);
  if (!modified) return undecryptable("'lastmodified' is no RFC 3339 time");
  if (sops.mac.empty()) return undecryptable("it has no MAC: nobody can say whether it was changed");

  std::vector<OpenLeaf> values;
  values.reserve(document.leaves.size());
  Mac mac(sops.mac_only_encrypted);
  std::set<std::string> paths;  // of all collections, for comments
  std::size_t tries = 0;        // no MAC covers comments: who may write the file may not make us try for ever
  constexpr std::size_t kMostTries = 20'000;
  if (!document.source.empty())
    for (const auto& leaf : document.leaves)
      for (std::size_t depth = 0; depth <= leaf.path.size(); ++depth) paths.insert(aad_of({leaf.path.begin(), leaf.path.begin() + static_cast<std::ptrdiff_t>(depth)}));
  for (const auto& leaf : document.leaves) {
    const bool by_rule = document.store == Store::binary || rule.seals(leaf.path);
    OpenLeaf value{SecretString(leaf.text.reveal()), leaf.type, false};
    const auto parts = by_rule && !leaf.text.empty() ? parse_sealed_value(leaf.text.reveal()) : std::nullopt;
    if (parts) {
      const auto type = type_named(parts->type);
      if (!type) return undecryptable(fmt::format("line {}: {} is sealed with an unknown type", leaf.line, name_of(leaf)));
      auto plain = gcm_open(data_key, parts->iv, aad_of(leaf.path), parts->data, parts->tag);
      if (!plain && leaf.type == LeafType::comment && !document.source.empty()) {
        // Which collection a comment belongs to is not always plain to see; no MAC covers it, and SOPS, too, leaves as it is what does not open.
        for (auto path = paths.begin(); path != paths.end() && !plain && tries < kMostTries; ++path, ++tries) plain = gcm_open(data_key, parts->iv, *path, parts->data, parts->tag);
        if (!plain) {
          values.push_back(std::move(value));
          continue;
        }
      }
      if (!plain)
        return undecryptable(fmt::format("line {}: {} does not open: it was changed, renamed or comes from another file", leaf.line, name_of(leaf)));
      value = {std::move(*plain), *type == LeafType::bytes ? LeafType::str : *type, true};
      if (*type == LeafType::boolean) value.plain = SecretString(truth_of(value.plain.reveal()) ? "True" : "False");
    } else if (by_rule && !leaf.text.empty() && leaf.type != LeafType::comment) {
      return undecryptable(fmt::format("line {}: {} stands in plain text where the file's rule wants it sealed", leaf.line, name_of(leaf)));
    }
    mac.add(value.plain.reveal(), value.type, by_rule);
    values.push_back(std::move(value));
  }

  const auto sealed_mac = parse_sealed_value(sops.mac);
  const auto stored = sealed_mac ? gcm_open(data_key, sealed_mac->iv, *modified, sealed_mac->data, sealed_mac->tag) : std::nullopt;
  if (!stored) return undecryptable("the MAC does not open: 'lastmodified' or the MAC was changed, or comes from another file");
  if (!equal_constant_time(stored->reveal(), mac.text()))
    return undecryptable("the MAC does not fit: values were added, removed, swapped or emptied after it was sealed");
  return Opened{std::move(document), std::move(data_key), std::move(values)};
}

Document plain_document(const Opened& opened) {
  Document out{opened.document.store, {}, opened.document.sops, opened.document.has_sops, opened.document.source, opened.document.from_plain};
  for (std::size_t i = 0; i < opened.values.size(); ++i) {
    const auto& leaf = opened.document.leaves[i];
    out.leaves.push_back({leaf.path, opened.values[i].type, SecretString(opened.values[i].plain.reveal()), leaf.where, leaf.line, leaf.in_flow, leaf.in_list});
  }
  return out;
}

Document seal_values(Document plain, const SecretString& data_key, std::string_view now, const Opened* before) {
  // Sealed texts of before by what they say, each to be used once.
  std::multimap<std::pair<std::string, std::string>, const Leaf*, std::less<>> known;  // (AAD and type, keyed hash of the text)
  const auto hash_key = random_bytes(32);
  const auto identity = [&](const std::vector<std::string>& path, LeafType type, std::string_view text) {
    if (type == LeafType::integer) type = LeafType::floating;  // SOPS before 3.13.2 took every number of JSON for one
    return std::pair(fmt::format("{}\n{}", to_string(type), aad_of(path)), hmac_sha256(hash_key, text));
  };
  if (before != nullptr && before->data_key == data_key)
    for (std::size_t i = 0; i < before->values.size(); ++i)  // a comment that stands open stays so
      if (const auto& value = before->values[i]; value.sealed || value.type == LeafType::comment)
        known.emplace(identity(before->document.leaves[i].path, value.type, value.plain.reveal()), &before->document.leaves[i]);

  const Rule rule = plain.sops.rule.value_or(Rule{});
  Mac mac(plain.sops.mac_only_encrypted);
  for (auto& leaf : plain.leaves) {
    const bool by_rule = plain.store == Store::binary || rule.seals(leaf.path);
    mac.add(leaf.text.reveal(), leaf.type, by_rule);
    if (!by_rule || leaf.text.empty()) continue;
    const auto same = known.find(identity(leaf.path, leaf.type, leaf.text.reveal()));
    if (same != known.end()) {
      leaf.text = SecretString(same->second->text.reveal());
      known.erase(same);
    } else {
      leaf.text = SecretString(seal_value(data_key, aad_of(leaf.path), leaf.text.reveal(), leaf.type, random_bytes(32)));
    }
  }
  plain.sops.last_modified = now;
  plain.sops.mac = seal_value(data_key, now, mac.text(), LeafType::str, random_bytes(32));
  plain.sops.version = kSopsVersion;
  plain.has_sops = true;
  return plain;
}

std::optional<Store> sealed_store(std::string_view text) {
  const auto has_line = [&](std::string_view begin) { return text.starts_with(begin) || text.find("\n" + std::string(begin)) != std::string_view::npos; };
  if (has_line("sops_mac=") && has_line("sops_version=")) return Store::dotenv;
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return std::nullopt;
  if (text[first] == '{') {
    if (text.find("\"sops\"") == std::string_view::npos || text.find("\"mac\"") == std::string_view::npos) return std::nullopt;
    if (text.find("\"data\"") == std::string_view::npos) return Store::json;
    const auto document = stores::read_json(text);
    return document ? document->store : Store::json;
  }
  const auto block_has_mac = [&](std::string_view begin, std::string_view space) {
    if (!has_line(begin)) return false;
    for (auto at = text.rfind("mac"); at != std::string_view::npos; at = at == 0 ? std::string_view::npos : text.rfind("mac", at - 1)) {
      const auto line = text.rfind('\n', at);
      const auto before = text.substr(line == std::string_view::npos ? 0 : line + 1, at - (line == std::string_view::npos ? 0 : line + 1));
      const auto after = text.substr(at + 3, 40);
      if (before.find_first_not_of(" \t") == std::string_view::npos && after.find_first_of(space) < after.find_first_not_of(" \t") + 1) return true;
    }
    return false;
  };
  if (block_has_mac("[sops]", "=")) return Store::ini;
  if (block_has_mac("sops:", ":")) return Store::yaml;
  return std::nullopt;
}

Store store_by_name(std::string_view name) {
  if (name.ends_with(".yaml") || name.ends_with(".yml")) return Store::yaml;
  if (name.ends_with(".json")) return Store::json;
  if (name.ends_with(".env")) return Store::dotenv;
  if (name.ends_with(".ini")) return Store::ini;
  return Store::binary;
}

Result<Document> parse_sealed(std::string_view text) {
  const auto store = sealed_store(text);
  if (!store) return fail_as(kCannotDecrypt, Errc::invalid_input, "no sealed file: it has no SOPS metadata");
  switch (*store) {
    case Store::dotenv: return stores::read_dotenv(text);
    case Store::yaml: return stores::read_yaml(text);
    case Store::ini: return stores::read_ini(text);
    case Store::json:
    case Store::binary: return stores::read_json(text);
  }
  return undecryptable("an unknown store");
}

Result<Document> parse_plain(std::string_view text, Store store) {
  if (sealed_store(text)) return fail(Errc::invalid_input, "it is sealed already");
  if (store == Store::binary) {
    Document out{Store::binary, {}, {}, false, {}};
    out.leaves.push_back({{"data"}, LeafType::str, SecretString(text), {}, 1});
    return out;
  }
  if (store == Store::json) return stores::read_plain_json(text);
  if (store == Store::yaml) return stores::read_plain_yaml(text);
  if (store == Store::ini) return stores::read_plain_ini(text);
  DM_TRY(auto out, stores::read_dotenv(text));
  if (out.has_sops) return fail(Errc::invalid_input, "it has names that begin with 'sops_', which are metadata of sealed files");
  return out;
}

Result<std::string> sealed_text(const Document& document) {
  switch (document.store) {
    case Store::dotenv: return stores::write_dotenv(document);
    case Store::binary: return stores::write_binary(document);
    case Store::json: return stores::write_json(document);
    case Store::yaml: return stores::write_yaml(document);
    case Store::ini: return stores::write_ini(document);
  }
  return fail(Errc::unsupported, "an unknown store");
}

Result<SecretString> plain_text(const Opened& opened) {
  switch (opened.document.store) {
    case Store::dotenv: {
      auto plain = plain_document(opened);
      plain.has_sops = false;
      return SecretString::take(stores::write_dotenv(plain));
    }
    case Store::binary: return SecretString(opened.values.at(0).plain.reveal());
    case Store::json: return stores::plain_json(opened);
    case Store::yaml: return stores::plain_yaml(opened);
    case Store::ini: return stores::plain_ini(opened);
  }
  return fail(Errc::unsupported, "an unknown store");
}

}  // namespace dm::secrets
