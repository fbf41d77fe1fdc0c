/// Any text as a size, a duration, a port or a command; what prints must read back as the same.
#include <cstdint>
#include <cstdlib>

#include "compose/ports.hpp"
#include "compose/units.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)dm::compose::parse_bytes(text);
  (void)dm::compose::parse_port(text);
  (void)dm::compose::split_command(text);
  if (const auto value = dm::compose::parse_duration(text)) {
    const auto again = dm::compose::parse_duration(dm::compose::format_duration(*value));
    // Long durations go through a double, so the last digits may differ.
    if (!again || (value->count() < (1LL << 50) && value->count() > -(1LL << 50) && *again != *value)) std::abort();
  }
  return 0;
}
