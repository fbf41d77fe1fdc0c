#include "formats/settings.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "formats/dotenv.hpp"
#include "formats/flatten.hpp"

namespace dm::formats {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

Format by_content(std::string_view content) {
  content = content.substr(0, 4096);
  const auto first = content.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return Format::unknown;
  if (content[first] == '<') return Format::xml;
  if (content[first] == '{') {
    const auto next = content.find_first_not_of(" \t\r\n", first + 1);
    if (next != std::string_view::npos && (content[next] == '"' || content[next] == '}')) return Format::json;
  }
  bool block = false;
  bool statement = false;
  bool section = false;
  bool assignment = false;
  for (std::size_t at = 0; at < content.size();) {
    const auto end = std::min(content.find('\n', at), content.size());
    auto line = content.substr(at, end - at);
    at = end + 1;
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos || line[begin] == '#' || line[begin] == ';') continue;
    line.remove_prefix(begin);
    block = block || line.ends_with('{');
    statement = statement || line.ends_with(';');
    section = section || (line.starts_with('[') && line.ends_with(']'));
    assignment = assignment || line.find('=') != std::string_view::npos;
  }
  if (block && statement) return Format::nginx;
  return section && assignment ? Format::ini : Format::unknown;
}

Result<std::vector<Setting>> read_env_settings(std::string_view text) {
  const Expand as_written = [](std::string_view raw, const std::vector<DotenvEntry>&, std::string& out) {
    out = raw;
    return true;
  };
  Collector out(text);
  auto parsed = parse_dotenv(text, as_written);
  for (const DotenvError& error : parsed.errors) out.error(error.where.begin, error.message);
  for (DotenvEntry& entry : parsed.entries) {
    if (entry.inherits) continue;
    out.add(std::move(entry.key), std::move(entry.value), entry.value_span.begin, entry.value_span.end);
  }
  return out.take();
}

}  // namespace

std::string_view to_string(Format format) {
  switch (format) {
    case Format::unknown: return "";
    case Format::caddyfile: return "caddyfile";
    case Format::nginx: return "nginx";
    case Format::yaml: return "yaml";
    case Format::json: return "json";
    case Format::toml: return "toml";
    case Format::ini: return "ini";
    case Format::xml: return "xml";
    case Format::env: return "env";
  }
  return "";
}

Format detect_format(std::string_view path, std::string_view content) {
  const auto slash = path.rfind('/');
  const std::string name = lower(slash == std::string_view::npos ? path : path.substr(slash + 1));
  if (name == "caddyfile" || name.starts_with("caddyfile.") || name.ends_with(".caddyfile")) return Format::caddyfile;
  if (name == ".env" || name.starts_with(".env.") || name.ends_with(".env")) return Format::env;
  const auto dot = name.rfind('.');
  const auto extension = dot == std::string::npos ? std::string_view() : std::string_view(name).substr(dot + 1);
  if (extension == "yaml" || extension == "yml") return Format::yaml;
  if (extension == "json") return Format::json;
  if (extension == "toml") return Format::toml;
  if (extension == "ini" || extension == "cnf" || extension == "cfg" || extension == "properties") return Format::ini;
  if (extension == "xml") return Format::xml;
  if (name == "nginx.conf" || extension == "nginx") return Format::nginx;
  return by_content(content);
}

Result<std::vector<Setting>> read_settings(Format format, std::string_view text) {
  switch (format) {
    case Format::unknown: break;
    case Format::caddyfile: return read_caddyfile_settings(text);
    case Format::nginx: return read_nginx_settings(text);
    case Format::yaml:
    case Format::json: return read_yaml_settings(text);
    case Format::toml: return read_toml_settings(text);
    case Format::ini: return read_ini_settings(text);
    case Format::xml: return read_xml_settings(text);
    case Format::env: return read_env_settings(text);
  }
  return fail(Errc::unsupported, "no known configuration format");
}

void Collector::add(std::string key, std::string value, std::size_t begin, std::size_t end) {
  if (failed()) return;
  const auto size = key.size() + value.size() + 16;
  if (size > budget_) return error(begin, "keys and values are too large when written out in full");
  budget_ -= size;
  settings_.push_back(
      {std::move(key), std::move(value), {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}});
}

void Collector::error(std::size_t at, std::string_view message) {
  if (failed()) return;
  const auto before = text_.substr(0, at);
  error_ = fmt::format("line {}: {}", std::ranges::count(before, '\n') + 1, message);
}

Result<std::vector<Setting>> Collector::take() {
  if (failed()) return fail(Errc::invalid_input, std::move(error_));
  return std::move(settings_);
}

std::string join_key(std::string_view outer, std::string_view name) {
  std::string out;
  out.reserve(outer.size() + name.size() + 1);
  out = outer;
  if (!outer.empty()) out += '.';
  out += name;
  return out;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = 0xFFFD;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | (code >> 6U));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0U | (code >> 12U));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | (code >> 18U));
    out += static_cast<char>(0x80U | ((code >> 12U) & 0x3FU));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
}

}  // namespace dm::formats
