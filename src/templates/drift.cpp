#include "templates/drift.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <set>

namespace dm::templates {

std::string keyed_hash(std::string_view key, std::string_view bytes) {
  std::array<unsigned char, 32> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), mac.data(), &size);
  std::string out;
  for (const auto byte : mac) out += fmt::format("{:02x}", byte);
  return out;
}

std::string Drift::describe() const {
  switch (kind) {
    case Kind::never_rendered: return file + ": not rendered yet";
    case Kind::outdated: return file + ": its template or a variable has changed since it was rendered";
    case Kind::edited: return file + ": changed by another hand since it was rendered";
    case Kind::missing: return file + ": was rendered and is gone";
    case Kind::left_over: return file + ": is no longer made by any template";
  }
  return file;
}

std::vector<Drift> compare(const Hashes& fresh, const Hashes& recorded, const Hashes& present) {
  std::vector<Drift> out;
  std::set<std::string_view> names;
  for (const auto* list : {&fresh, &recorded})
    for (const auto& [name, hash] : *list) names.insert(name);
  for (const auto name : names) {
    const auto now = fresh.find(name), then = recorded.find(name), there = present.find(name);
    const auto add = [&](Drift::Kind kind) { out.push_back({kind, std::string(name)}); };
    if (now == fresh.end()) {
      if (there != present.end()) add(Drift::Kind::left_over);
    } else if (there == present.end()) {
      add(then == recorded.end() ? Drift::Kind::never_rendered : Drift::Kind::missing);
    } else if (there->second != now->second) {
      add(then != recorded.end() && then->second == there->second ? Drift::Kind::outdated : Drift::Kind::edited);
    }
  }
  return out;
}

std::string write_list(const Hashes& hashes) {
  std::string out = "# What 'datamancy render' wrote: HMAC-SHA-256 under the key render_key of the sealed secrets.\n";
  for (const auto& [name, hash] : hashes) out += fmt::format("{}  {}\n", hash, name);
  return out;
}

Result<Hashes> read_list(std::string_view text) {
  Hashes out;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line[0] == '#') continue;
    if (line.size() < 67 || line.substr(64, 2) != "  ") return fail(Errc::invalid_input, fmt::format("line {} of the list of rendered files is no 'HASH  NAME'", number));
    out.emplace(line.substr(66), line.substr(0, 64));
  }
  return out;
}

}  // namespace dm::templates
