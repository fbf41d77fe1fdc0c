/// Any bytes as armor: what is accepted means the same when it is written again.
#include <cstdint>
#include <cstdlib>

#include "secrets/age.hpp"
#include "secrets/backup_text.hpp"
#include "secrets/crypto.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = dm::secrets::unarmor(text)) {
    const auto again = dm::secrets::unarmor(dm::secrets::armor(*bytes));
    if (!again || *again != *bytes) std::abort();
  }
  if (const auto decoded = dm::secrets::unbech32(text); decoded && dm::secrets::bech32(decoded->hrp, decoded->bytes.reveal()).size() != size) std::abort();
  for (const bool padded : {false, true})
    if (const auto bytes = dm::secrets::unbase64(text, padded); bytes && dm::secrets::base64(*bytes, padded) != text) std::abort();
  if (dm::secrets::key_from_paper(text) && size < 74) std::abort();
  return 0;
}
