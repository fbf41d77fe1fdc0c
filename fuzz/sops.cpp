/// Any bytes as a sealed file of any store, and as a plain one: no crash; what opens as plain dotenv is written byte for byte.
#include <cstdint>
#include <cstdlib>

#include "secrets/sops.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dm::secrets;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto document = parse_sealed(text)) {
    const auto store = document->store;
    if (auto opened = open_values(std::move(*document), SecretString(std::string(32, 'k')))) std::abort();
    if (auto again = parse_sealed(text); again && store != Store::ini) {
      for (const auto& leaf : again->leaves)
        if (leaf.where.end > size || leaf.where.begin > leaf.where.end) std::abort();
      (void)sealed_text(*again);
    }
  }
  if (sealed_store(text)) return 0;
  (void)stores::read_json(text);
  (void)stores::read_yaml(text);
  (void)stores::read_ini(text);
  if (dotenv_troubles(text).empty()) {
    auto plain = parse_plain(text, Store::dotenv);
    if (!plain) std::abort();
    const SecretString key(std::string(32, 'k'));
    const auto sealed = seal_values(std::move(*plain), key, "2026-01-02T03:04:05Z", nullptr);
    auto parsed = parse_sealed(*sealed_text(sealed));
    if (!parsed) return 0;  // a name like sops_...: refused before sealing
    auto opened = open_values(std::move(*parsed), SecretString(key.reveal()));
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
