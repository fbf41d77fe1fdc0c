/// Any bytes as a sealed file of any store, and as a plain one: no crash; what is sealed opens as what it was. dotenv comes back byte for byte, the others
/// with the same values.
#include <cstdint>
#include <cstdlib>

#include "secrets/sops.hpp"

using namespace dm::secrets;

namespace {

const SecretString& key() {
  static const SecretString one(std::string(32, 'k'));
  return one;
}

std::vector<std::pair<std::vector<std::string>, std::string>> values_of(const std::vector<Leaf>& leaves) {
  std::vector<std::pair<std::vector<std::string>, std::string>> out;
  for (const auto& leaf : leaves)
    if (leaf.type != LeafType::comment) out.emplace_back(leaf.path, leaf.text.reveal());
  return out;
}

void nested(std::string_view text, Store store) {
  auto plain = parse_plain(text, store);
  if (!plain) return;
  const auto wanted = values_of(plain->leaves);
  const auto sealed = sealed_text(seal_values(std::move(*plain), key(), "2026-01-02T03:04:05Z", nullptr));
  if (!sealed) std::abort();
  auto parsed = parse_sealed(*sealed);
  if (!parsed || parsed->store != store) return;  // a text that looks like another store once it is sealed: refused when it is written
  auto opened = open_values(std::move(*parsed), SecretString(key().reveal()));
  if (!opened || values_of(plain_document(*opened).leaves) != wanted) std::abort();
  const auto out = plain_text(*opened);
  if (!out) std::abort();
  const auto again = parse_plain(out->reveal(), store);
  if (store != Store::ini && (!again || values_of(again->leaves) != wanted)) std::abort();  // INI has no way to write every value
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto document = parse_sealed(text)) {
    if (auto opened = open_values(std::move(*document), SecretString(key().reveal()))) std::abort();
    if (auto again = parse_sealed(text)) {
      for (const auto& leaf : again->leaves)
        if (leaf.where.end > size || leaf.where.begin > leaf.where.end) std::abort();
      (void)sealed_text(*again);
    }
  }
  if (sealed_store(text)) return 0;
  (void)stores::read_json(text);
  (void)stores::read_yaml(text);
  (void)stores::read_ini(text);
  for (const auto store : {Store::yaml, Store::json, Store::ini}) nested(text, store);
  if (dotenv_troubles(text).empty()) {
    auto plain = parse_plain(text, Store::dotenv);
    if (!plain) std::abort();
    const auto sealed = seal_values(std::move(*plain), key(), "2026-01-02T03:04:05Z", nullptr);
    auto parsed = parse_sealed(*sealed_text(sealed));
    if (!parsed) return 0;  // a name like sops_...: refused before sealing
    auto opened = open_values(std::move(*parsed), SecretString(key().reveal()));
    if (!opened) std::abort();
    std::string expected;
    for (std::size_t at = 0; at < text.size();) {  // without its empty lines, which SOPS drops
      const auto end = std::min(text.find('\n', at), text.size());
      if (end > at) expected += std::string(text.substr(at, end - at)) + "\n";
      at = end + 1;
    }
    const auto out = plain_text(*opened);
    if (!out || out->reveal() != expected) std::abort();
  }
  return 0;
}
