/// Any bytes as a file to be scanned: no crash, every line inside the file. The first byte chooses the name.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "secrets/pattern.hpp"
#include "secrets/scan.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr const char* kNames[] = {"compose.yaml", ".env", "x.py", "x.json", "x.toml", "x.ini", "x.conf", "x.xml", "notes.md", "Dockerfile", "x.sh"};
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n') + std::count(text.begin(), text.end(), '\r')) + 1;
  for (const auto& leak : dm::secrets::scan_file(kNames[data[0] % 11], text))
    if (leak.line == 0 || leak.line > lines) std::abort();
  const auto cut = text.find('\n');
  if (const auto pattern = dm::secrets::Pattern::compile(text.substr(0, cut)); pattern && cut != std::string_view::npos) (void)pattern->search(text.substr(cut));
  return 0;
}
