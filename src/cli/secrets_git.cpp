// secrets textconv, merge: what git calls for sealed files.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/files.hpp"
#include "cli/secrets.hpp"
#include "secrets/crypto.hpp"

namespace dm::cli {
namespace {

int status_of(const Result<int>& result) { return result ? *result : complain(result.error()); }

/// Names, and a mark of the sealed bytes: unchanged values keep their bytes, so that the marks tell what changed. No key is needed.
Result<int> textconv(Args& args) {
  if (args.words.size() != 1) return secrets_usage("textconv", "one file is expected");
  DM_TRY(const auto text, sources::disk().read(absolute(args, args.words[0]), secrets::kMaxSealed));
  const auto document = secrets::parse_sealed(text);
  if (!document) {  // git calls for every version; a plain one is not shown either
    fmt::print("(not a sealed file, {} bytes, sha256 {})\n", text.size(), secrets::hex(secrets::sha256(text)).substr(0, 12));
    return kClean;
  }
  const auto rule = document->sops.rule.value_or(secrets::Rule{});
  for (const auto& leaf : document->leaves) {
    std::string name;
    for (const auto& key : leaf.path) name += (name.empty() ? "" : ".") + key;
    if (leaf.type == secrets::LeafType::comment) name = "#";
    const bool sealed = leaf.text.reveal().starts_with("ENC[") && (document->store == secrets::Store::binary || rule.seals(leaf.path));
    const auto mark = secrets::hex(secrets::sha256(leaf.text.reveal())).substr(0, 10);
    fmt::print("{} = {}\n", name, leaf.text.empty() ? "(empty)" : sealed ? "sealed " + mark : "plain, not shown");
  }
  for (const auto& key : document->sops.age) fmt::print("for {}\n", key.recipient);
  return kClean;
}

using Values = std::map<std::string, const secrets::SecretString*>;

Values values_of(const secrets::Opened& opened) {
  Values out;
  for (std::size_t i = 0; i < opened.values.size(); ++i)
    if (opened.values[i].type != secrets::LeafType::comment) out[secrets::aad_of(opened.document.leaves[i].path)] = &opened.values[i].plain;
  return out;
}
bool same(const Values& a, const Values& b, const std::string& name) {
  const auto x = a.find(name), y = b.find(name);
  if (x == a.end() || y == b.end()) return x == a.end() && y == b.end();
  return *x->second == *y->second;
}

Result<int> merge(Args& args) {
  if (args.words.size() < 3) return secrets_usage("merge", "BASE, OURS and THEIRS are expected");
  const auto shown = args.words.size() > 3 ? args.words[3] : args.words[1];
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(auto ours, secrets::open_sealed(absolute(args, args.words[1]), keys));
  DM_TRY(auto theirs, secrets::open_sealed(absolute(args, args.words[2]), keys));
  Values base_values;
  std::set<std::string> base_recipients;
  auto base = secrets::open_sealed(absolute(args, args.words[0]), keys);  // empty where both sides added the file
  if (base) {
    base_values = values_of(base->opened);
    for (const auto& key : base->opened.document.sops.age) base_recipients.insert(key.recipient);
  }
  if (ours.opened.document.store != secrets::Store::dotenv || theirs.opened.document.store != secrets::Store::dotenv)
    return fail(Errc::unsupported, fmt::format("{}: only dotenv files are merged by name; choose one side and set the values of the other again", shown));

  const auto mine = values_of(ours.opened), other = values_of(theirs.opened);
  auto plain = secrets::plain_document(ours.opened);
  std::vector<std::string> conflicts;
  std::erase_if(plain.leaves, [&](const secrets::Leaf& leaf) {  // removed by them, untouched by us
    const auto name = secrets::aad_of(leaf.path);
    return leaf.type != secrets::LeafType::comment && !other.contains(name) && base_values.contains(name) && same(mine, base_values, name);
  });
  for (const auto& [name, value] : other) {
    if (same(mine, other, name) || same(other, base_values, name)) continue;
    if (!same(mine, base_values, name)) {
      conflicts.push_back(name.substr(0, name.size() - 1));
      continue;
    }
    const auto leaf = std::ranges::find_if(plain.leaves, [&](const secrets::Leaf& one) { return one.type != secrets::LeafType::comment && secrets::aad_of(one.path) == name; });
    if (leaf != plain.leaves.end()) leaf->text = secrets::SecretString(value->reveal());
    else plain.leaves.push_back({{name.substr(0, name.size() - 1)}, secrets::LeafType::str, secrets::SecretString(value->reveal()), {}, 0});
  }
  for (const auto& [name, value] : mine)
    if (!other.contains(name) && base_values.contains(name) && !same(mine, base_values, name)) conflicts.push_back(name.substr(0, name.size() - 1));

  // Recipients: what either side added, without what either removed.
  std::vector<secrets::AgeKey> recipients;
  const auto has = [](const auto& list, const std::string& recipient) { return std::ranges::find(list, recipient, &secrets::AgeKey::recipient) != list.end(); };
  for (const auto& key : plain.sops.age)
    if (has(theirs.opened.document.sops.age, key.recipient) || !base_recipients.contains(key.recipient)) recipients.push_back(key);
  for (const auto& key : theirs.opened.document.sops.age) {
    if (has(plain.sops.age, key.recipient) || base_recipients.contains(key.recipient)) continue;
    DM_TRY(auto sealed, secrets::wrap_data_key(ours.opened.data_key, key.recipient));
    recipients.push_back({key.recipient, std::move(sealed)});
  }
  if (recipients.empty()) return fail(Errc::conflict, fmt::format("{}: the two sides leave no recipient", shown));
  plain.sops.age = std::move(recipients);

  if (theirs.opened.data_key == ours.opened.data_key) {  // their sealed bytes may stay as well
    for (std::size_t i = 0; i < theirs.opened.values.size(); ++i) {
      ours.opened.document.leaves.push_back(std::move(theirs.opened.document.leaves[i]));
      ours.opened.values.push_back(std::move(theirs.opened.values[i]));
    }
  }
  const auto sealed = secrets::seal_values(std::move(plain), ours.opened.data_key, secrets::now_utc(), &ours.opened);
  DM_TRY(const auto text, secrets::sealed_text(sealed));
  DM_CHECK(secrets::replace_sealed(ours, text));
  if (conflicts.empty()) return kClean;
  fmt::print(stderr, "datamancy: {}: both sides changed these; ours was kept, set them again where theirs is right:", shown);
  for (const auto& name : conflicts) fmt::print(stderr, " {}", name);
  fmt::print(stderr, "\n");
  return kFindings;
}

}  // namespace

int secrets_textconv(Args& args) { return status_of(textconv(args)); }
int secrets_merge(Args& args) { return status_of(merge(args)); }

}  // namespace dm::cli
