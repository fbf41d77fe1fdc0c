#include "scaffold/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include "formats/yaml.hpp"

namespace dm::scaffold {
namespace {

using formats::YamlNode;

template <class E>
using Names = std::span<const std::pair<std::string_view, E>>;

constexpr std::pair<std::string_view, Setting::Type> kTypes[] = {
    {"text", Setting::Type::text}, {"domain", Setting::Type::domain}, {"mail", Setting::Type::mail}, {"name", Setting::Type::name},
    {"url", Setting::Type::url},   {"port", Setting::Type::port},     {"path", Setting::Type::path}, {"choice", Setting::Type::choice}};
constexpr std::pair<std::string_view, Secret::Generator> kGenerators[] = {
    {"password", Secret::Generator::password}, {"hex", Secret::Generator::hex},         {"base64", Secret::Generator::base64},
    {"uuid", Secret::Generator::uuid},         {"rsa", Secret::Generator::rsa},         {"ed25519", Secret::Generator::ed25519},
    {"vapid", Secret::Generator::vapid},       {"vapid-public", Secret::Generator::vapid_public}, {"argon2", Secret::Generator::argon2},
    {"oidc-hash", Secret::Generator::oidc_hash}, {"operator", Secret::Generator::given}};
constexpr std::pair<std::string_view, Secret::Rotate> kRotations[] = {
    {"blindly", Secret::Rotate::blindly}, {"job", Secret::Rotate::job}, {"recipe", Secret::Rotate::recipe}, {"never", Secret::Rotate::never}};

tl::unexpected<Error> wrong(const YamlNode& node, std::string what) { return fail(Errc::invalid_input, fmt::format("variables.yaml:{}: {}", node.line, what)); }

template <class E>
Result<E> one_of(const YamlNode& node, Names<E> names, std::string_view what) {
  for (const auto& [name, value] : names)
    if (node.text == name) return value;
  return wrong(node, fmt::format("'{}' is no {}", node.text, what));
}

Result<std::size_t> number(const YamlNode& node, std::size_t low, std::size_t high) {
  std::size_t out = 0;
  const auto [stop, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), out);
  if (error != std::errc() || stop != node.text.data() + node.text.size() || out < low || out > high) return wrong(node, fmt::format("'{}' is no number from {} to {}", node.text, low, high));
  return out;
}

Result<Setting> setting_of(const formats::YamlEntry& entry) {
  Setting out;
  out.name = entry.key;
  for (const auto& [key, value] : entry.value.entries) {
    if (key == "type") {
      DM_TRY(out.type, one_of<Setting::Type>(value, kTypes, "type of a setting"));
    } else if (key == "default") {
      out.fallback = value.text;
    } else if (key == "about") {
      out.about = value.text;
    } else {
      return wrong(value, fmt::format("a setting has no '{}'", key));
    }
  }
  return out;
}

Result<Secret> secret_of(const formats::YamlEntry& entry) {
  Secret out;
  out.name = entry.key;
  for (const auto& [key, value] : entry.value.entries) {
    if (key == "generator") {
      DM_TRY(out.generator, one_of<Secret::Generator>(value, kGenerators, "generator"));
    } else if (key == "length") {
      DM_TRY(out.size, number(value, 12, 1024));
    } else if (key == "bytes") {
      DM_TRY(out.size, number(value, 8, 1024));
    } else if (key == "bits") {
      DM_TRY(out.size, number(value, 2048, 8192));
    } else if (key == "prefix") {
      out.prefix = value.text;
    } else if (key == "of") {
      out.of = value.text;
    } else if (key == "rotate") {
      DM_TRY(out.rotate, one_of<Secret::Rotate>(value, kRotations, "way to rotate"));
    } else if (key == "used_by") {
      for (const auto& item : value.items) out.used_by.push_back(item.text);
    } else if (key == "about") {
      out.about = value.text;
    } else {
      return wrong(value, fmt::format("a secret has no '{}'", key));
    }
  }
  const bool derived = out.generator == Secret::Generator::vapid_public || out.generator == Secret::Generator::argon2 || out.generator == Secret::Generator::oidc_hash;
  if (derived != !out.of.empty()) return wrong(entry.value, derived ? fmt::format("{} says not of what it is made ('of')", out.name) : fmt::format("{} is not made of another", out.name));
  return out;
}

bool name_like(std::string_view name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool domain_like(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  std::size_t labels = 0;
  while (true) {
    const auto dot = std::min(text.find('.'), text.size());
    const auto label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; })) return false;
    ++labels;
    // An address is no domain: nothing has names below it.
    if (dot == text.size()) return labels > 1 && !std::ranges::all_of(label, [](char c) { return c >= '0' && c <= '9'; });
    text.remove_prefix(dot + 1);
  }
}

}  // namespace

const Setting* Schema::setting(std::string_view name) const {
  const auto found = std::ranges::find(settings, name, &Setting::name);
  return found == settings.end() ? nullptr : &*found;
}
const Secret* Schema::secret(std::string_view name) const {
  const auto found = std::ranges::find(secrets, name, &Secret::name);
  return found == secrets.end() ? nullptr : &*found;
}

Result<Schema> parse_schema(std::string_view yaml) {
  DM_TRY(const auto root, during("reading variables.yaml", formats::parse_yaml(yaml)));
  Schema out;
  for (const auto& [section, list] : root.entries) {
    if (section != "settings" && section != "secrets") return wrong(list, fmt::format("'{}' is no part of it; there are settings and secrets", section));
    for (const auto& entry : list.entries) {
      if (!name_like(entry.key)) return wrong(entry.value, fmt::format("'{}' is no name of a variable", entry.key));
      if (out.setting(entry.key) != nullptr || out.secret(entry.key) != nullptr) return wrong(entry.value, fmt::format("{} is declared twice", entry.key));
      if (section == "settings") {
        DM_TRY(auto setting, setting_of(entry));
        out.settings.push_back(std::move(setting));
      } else {
        DM_TRY(auto secret, secret_of(entry));
        out.secrets.push_back(std::move(secret));
      }
    }
  }
  for (const auto& secret : out.secrets) {
    if (secret.of.empty()) continue;
    const auto* source = out.secret(secret.of);
    if (source == nullptr || !source->of.empty()) return fail(Errc::invalid_input, fmt::format("variables.yaml: {} is made of '{}', which is no secret with a generator of its own", secret.name, secret.of));
  }
  return out;
}

std::string trouble_with(const Setting& setting, std::string_view value) {
  for (const char c : value)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return fmt::format("{} holds a control character", setting.name);
  using Type = Setting::Type;
  switch (setting.type) {
    case Type::domain:
      if (!value.empty() && !domain_like(value)) return fmt::format("'{}' is no domain in small letters, like example.org", value);
      break;
    case Type::mail: {
      const auto at = value.find('@');
      if (!value.empty() && (at == 0 || at == std::string_view::npos || value.find_first_of(" <>\"'$\\") != std::string_view::npos || !domain_like(value.substr(at + 1)))) return fmt::format("'{}' is no mail address, like admin@example.org", value);
      break;
    }
    case Type::name:
      if (value.empty() || !name_like(value)) return fmt::format("'{}' is no account name of letters, digits and '_'", value);
      break;
    case Type::port: {
      unsigned port = 0;
      const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), port);
      if (error != std::errc() || stop != value.data() + value.size() || port == 0 || port > 65535) return fmt::format("'{}' is no port", value);
      break;
    }
    case Type::url:
      if (!value.empty() && !value.starts_with("https://") && !value.starts_with("http://")) return fmt::format("'{}' is no URL", value);
      break;
    case Type::text: case Type::path: case Type::choice: break;
  }
  return {};
}

}  // namespace dm::scaffold
