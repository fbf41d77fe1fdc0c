/// Any bytes as a .env file: no crash, and every span inside the text.
#include <cstdint>
#include <cstdlib>

#include "formats/dotenv.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const dm::formats::Expand expand = [](std::string_view raw, const std::vector<dm::formats::DotenvEntry>&, std::string& out) {
    out = raw;
    return true;
  };
  for (const auto& parsed : {dm::formats::parse_dotenv(text, expand), dm::formats::parse_dotenv_raw(text)})
    for (const auto& entry : parsed.entries)
      if (entry.key_span.end > text.size() || entry.value_span.end > text.size() || entry.value_span.begin > entry.value_span.end) std::abort();
  return 0;
}
