/// Any bytes as an age file: no crash, what parses is written from its parts again, and no key of ours opens it.
#include <cstdint>
#include <cstdlib>

#include "secrets/age.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto header = dm::secrets::parse_age_header(text);
  if (header && (header->payload > size || header->authenticated > header->payload || header->stanzas.empty() || header->mac.size() != 32)) std::abort();
  static const auto identity = dm::secrets::make_identity();
  const dm::secrets::AgeIdentity with[] = {&identity};
  if (dm::secrets::age_open(text, with)) std::abort();
  return 0;
}
