/// Any bytes in any configuration format: no crash, and every place inside the text.
#include <cstdint>
#include <cstdlib>

#include "formats/settings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using dm::formats::Format;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr Format kFormats[] = {Format::nginx, Format::yaml, Format::toml, Format::ini, Format::xml, Format::env};
  (void)dm::formats::detect_format("x.conf", text);
  const auto settings = dm::formats::read_settings(kFormats[data[0] % std::size(kFormats)], text);
  if (!settings) return 0;
  for (const auto& setting : *settings)
    if (setting.value_span.begin > setting.value_span.end || setting.value_span.end > text.size()) std::abort();
  return 0;
}
