/// Any bytes as a Caddyfile, with and without variables: no crash, and every place inside the file.
#include <cstdint>
#include <cstdlib>

#include "formats/caddyfile.hpp"
#include "formats/settings.hpp"

namespace {

void check(const std::vector<dm::formats::CaddyDirective>& block, std::size_t size) {
  for (const auto& directive : block) {
    if (directive.name.where.end > size) std::abort();
    for (const auto& word : directive.arguments)
      if (word.where.begin > word.where.end || word.where.end > size) std::abort();
    (void)directive.matcher();
    check(directive.block, size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const dm::formats::CaddyLookup lookup = [](std::string_view name) {
    return name.starts_with('A') ? std::optional<std::string>("a {\n \"b") : std::nullopt;
  };
  for (const auto& file : {dm::formats::parse_caddyfile(text), dm::formats::parse_caddyfile(text, lookup)}) {
    check(file.options, size);
    for (const auto& site : file.sites) {
      for (const auto& word : site.addresses)
        if (word.where.begin > word.where.end || word.where.end > size) std::abort();
      check(site.directives, size);
    }
    for (const auto& error : file.errors)
      if (error.where.begin > error.where.end || error.where.end > size) std::abort();
  }
  (void)dm::formats::read_settings(dm::formats::Format::caddyfile, text);
  return 0;
}
