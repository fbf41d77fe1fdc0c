#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "secrets/sops.hpp"

namespace dm::secrets {
namespace {

constexpr std::array kKinds{Rule::Kind::unencrypted_suffix, Rule::Kind::encrypted_suffix, Rule::Kind::unencrypted_regex, Rule::Kind::encrypted_regex};
constexpr std::array<std::string_view, 7> kForeignKeys{"pgp", "kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "hc_kms"};

bool semantic_version(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  for (int part = 0; part < 3; ++part) {
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    if (digits == 0) return false;
    text.remove_prefix(digits);
    if (part < 2) {
      if (!text.starts_with('.')) return false;
      text.remove_prefix(1);
    }
  }
  return text.empty() || text[0] == '-' || text[0] == '+';
}

/// "list_3__map_enc" -> 3, rest "enc"; -1 where it is something else.
long list_index(std::string_view& name) {
  constexpr std::string_view kList = "list_", kMap = "__map_";
  if (!name.starts_with(kList)) return -1;
  name.remove_prefix(kList.size());
  const auto cut = name.find(kMap);
  if (cut == std::string_view::npos || cut == 0 || cut > 4) return -1;
  long index = 0;
  for (const char c : name.substr(0, cut)) {
    if (c < '0' || c > '9') return -1;
    index = index * 10 + (c - '0');
  }
  name.remove_prefix(cut + kMap.size());
  return index;
}

}  // namespace

bool Metadata::foreign_keys() const {
  return std::ranges::any_of(foreign, [](const auto& entry) {
    return std::ranges::any_of(kForeignKeys, [&](std::string_view kind) { return entry.first.starts_with(std::string(kind) + "__list_"); });
  });
}

Result<Metadata> read_metadata(const std::vector<std::pair<std::string, std::string>>& flat) {
  Metadata out;
  std::map<long, AgeKey> age;
  int rules = 0;
  for (const auto& [name, value] : flat) {
    if (std::string_view rest = name; rest.starts_with("age__")) {
      rest.remove_prefix(5);
      const auto index = list_index(rest);
      if (index < 0) return undecryptable(fmt::format("metadata '{}' is malformed", name));
      auto& key = age[index];
      if (rest == "enc") key.sealed = value;
      else if (rest == "recipient") key.recipient = value;
      continue;
    }
    const auto kind = std::ranges::find_if(kKinds, [&key = name](Rule::Kind one) { return key == to_string(one); });
    if (kind != kKinds.end()) {
      if (value.empty()) continue;  // older files write the rules that they do not use
      if (++rules > 1) return undecryptable("more than one of the encryption rules is set");
      auto rule = make_rule(*kind, value);
      if (!rule) return undecryptable(fmt::format("metadata '{}': {}", name, rule.error().message));
      out.rule = std::move(*rule);
    } else if (name == "encrypted_comment_regex" || name == "unencrypted_comment_regex") {
      if (!value.empty()) return undecryptable(fmt::format("'{}' is not supported; open this file with 'sops'", name));
    } else if (name == "lastmodified") out.last_modified = value;
    else if (name == "mac") out.mac = value;
    else if (name == "version") out.version = value;
    else if (name == "mac_only_encrypted") out.mac_only_encrypted = value == "true";
    else if (name == "shamir_threshold") {
      if (!value.empty() && value != "0") return undecryptable("key groups (Shamir) are not supported; open this file with 'sops'");
    } else if (name.starts_with("key_groups")) return undecryptable("key groups (Shamir) are not supported; open this file with 'sops'");
    else out.foreign.emplace_back(name, value);
  }
  long expected = 0;
  for (auto& [index, key] : age) {
    if (index != expected++) return undecryptable("the list of recipients has a hole");
    out.age.push_back(std::move(key));
  }
  if (!semantic_version(out.version)) return undecryptable("'version' is no semantic version");
  return out;
}

std::vector<std::pair<std::string, std::string>> write_metadata(const Metadata& metadata) {
  auto out = metadata.foreign;
  for (std::size_t i = 0; i < metadata.age.size(); ++i) {
    out.emplace_back(fmt::format("age__list_{}__map_enc", i), metadata.age[i].sealed);
    out.emplace_back(fmt::format("age__list_{}__map_recipient", i), metadata.age[i].recipient);
  }
  out.emplace_back("lastmodified", metadata.last_modified);
  out.emplace_back("mac", metadata.mac);
  out.emplace_back("version", metadata.version);
  if (metadata.rule) out.emplace_back(to_string(metadata.rule->kind), metadata.rule->text);
  if (metadata.mac_only_encrypted) out.emplace_back("mac_only_encrypted", "true");
  std::ranges::sort(out);
  return out;
}

}  // namespace dm::secrets
