/// variables.yaml: what each variable of a stack is, who makes it, who uses it, whether it may be changed blindly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::scaffold {

/// A variable that is not secret; its value stands in .env.
struct Setting {
  std::string name;
  enum class Type : std::uint8_t { text, domain, mail, name, url, port, path, choice } type = Type::text;
  std::string fallback;         ///< default; "%DOMAIN%" stands for the domain
  std::string about;
};

struct Secret {
  std::string name;
  enum class Generator : std::uint8_t { password, hex, base64, uuid, rsa, ed25519, vapid, vapid_public, argon2, oidc_hash, given } generator = Generator::password;
  std::size_t size = 32;        ///< characters, bytes or bits
  std::string prefix;
  std::string of;               ///< the secret that it is derived from
  enum class Rotate : std::uint8_t { blindly, job, recipe, never } rotate = Rotate::blindly;
  std::vector<std::string> used_by;
  std::string about;
};

struct Schema {
  std::vector<Setting> settings;
  std::vector<Secret> secrets;
  const Setting* setting(std::string_view name) const;
  const Secret* secret(std::string_view name) const;
};

/// Errors: `invalid_input` with the line: unknown keys, kinds or generators, a name twice, `of` that names nothing.
Result<Schema> parse_schema(std::string_view yaml);

/// Why `value` is no value of this kind; "" where it is one.
std::string trouble_with(const Setting& setting, std::string_view value);

}  // namespace dm::scaffold
