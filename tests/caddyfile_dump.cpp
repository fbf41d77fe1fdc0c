// What we find in a Caddyfile, one fact a line, for tools/check_caddyfile.py: "host NAME", "dial ADDRESS"; or "error: ...", status 1.
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "formats/caddyfile.hpp"

namespace {

using dm::formats::CaddyDirective;

void dials(const std::vector<CaddyDirective>& block) {
  for (const auto& directive : block) {
    const bool proxy = directive.name.text == "reverse_proxy" || directive.name.text == "php_fastcgi" ||
                       directive.name.text == "forward_auth";
    if (proxy) {
      const auto* matcher = directive.matcher();
      for (const auto& word : directive.arguments)
        if (&word != matcher) fmt::print("dial {}\n", word.text);
      for (const auto& inner : directive.block)
        if (inner.name.text == "to")
          for (const auto& word : inner.arguments) fmt::print("dial {}\n", word.text);
    } else {
      dials(directive.block);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  std::ifstream in(argv[1], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto file = dm::formats::parse_caddyfile(text, [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  });
  for (const auto& error : file.errors) fmt::print("error: {}\n", error.message);
  if (!file.errors.empty()) return 1;
  for (const auto& site : file.sites) {
    if (site.named_route) continue;
    for (const auto& address : site.addresses) fmt::print("site {}\n", address.text);
    dials(site.directives);
  }
}
