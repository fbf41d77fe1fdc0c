#include "wiring/config_hosts.hpp"

#include <algorithm>

#include "sources/files.hpp"

namespace dm::wiring {
namespace {

using Certainty = HostText::Certainty;

constexpr std::string_view kBlank = " \t\r";

std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// Words of a line; quotes are taken off, a '#' that begins a word ends the line.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (std::size_t at = line.find_first_not_of(kBlank); at != std::string_view::npos; at = line.find_first_not_of(kBlank, at)) {
    if (line[at] == '#') break;
    if (line[at] == '"' || line[at] == '\'' || line[at] == '`') {
      const auto close = line.find(line[at], at + 1);
      if (close == std::string_view::npos) break;
      out.push_back(line.substr(at + 1, close - at - 1));
      at = close + 1;
      continue;
    }
    const auto end = std::min(line.find_first_of(kBlank, at), line.size());
    out.push_back(line.substr(at, end - at));
    at = end;
  }
  return out;
}

/// One upstream: host, host:port or a URL. A name that says "database" makes a bare host certain.
void upstream(std::string_view word, std::string_view key, std::vector<ConfigHost>& out) {
  if (word.starts_with("h2c://") || word.find("://") != std::string_view::npos) {
    for (const auto& host : hosts_in_value("", word)) out.push_back({host, key, true});
    return;
  }
  for (auto& host : hosts_in_value("UPSTREAM_HOST", word)) out.push_back({host, key, true});
}

void caddyfile(std::string_view text, std::vector<ConfigHost>& out) {
  int depth = 0;
  int inside = 0;  // depth of the block of a proxy directive, 0 for none
  std::string_view directive;
  bool more = false;  // the line before ended in a backslash
  while (!text.empty()) {
    auto words = words_of(next_line(text));
    if (words.empty()) continue;
    const bool opens = words.back() == "{";
    if (opens) words.pop_back();
    if (words.size() == 1 && words[0] == "}") {
      --depth;
      if (depth < inside) inside = 0;
      more = false;
      continue;
    }
    const bool continued = more;
    more = !words.empty() && words.back() == "\\";
    if (more) words.pop_back();
    std::size_t first = 0;
    if (!continued) {
      directive = words.empty() ? std::string_view() : words[0];
      first = 1;
    }
    const bool proxy = directive == "reverse_proxy" || directive == "php_fastcgi" || directive == "forward_auth";
    if ((proxy && depth > 0) || (inside != 0 && depth == inside && directive == "to")) {
      for (std::size_t i = first; i < words.size(); ++i) {
        const auto word = words[i];
        if (word.starts_with('/') || word.starts_with('*') || word.starts_with('@') || word.starts_with(':') || word.starts_with("unix/")) continue;
        upstream(word, proxy ? directive : "reverse_proxy", out);
      }
    }
    if (opens) {
      ++depth;
      if (proxy) inside = depth;
    }
  }
}

/// Calls `body` with the words of each statement of an nginx file and with what ended it: ';', '{' or '}'.
template <class F>
void nginx_statements(std::string_view text, F&& body) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (c == ';' || c == '{' || c == '}') {
      body(words, c);
      words.clear();
      ++at;
    } else if (c == '"' || c == '\'') {
      const auto close = text.find(c, at + 1);
      if (close == std::string_view::npos) return;
      words.push_back(text.substr(at + 1, close - at - 1));
      at = close + 1;
    } else if (kBlank.find(c) != std::string_view::npos || c == '\n') {
      ++at;
    } else {
      auto end = at;
      while (end < text.size() && kBlank.find(text[end]) == std::string_view::npos && std::string_view("\n;{}").find(text[end]) == std::string_view::npos) {
        if (text[end] == '$' && end + 1 < text.size() && text[end + 1] == '{') end = std::min(text.find('}', end), text.size() - 1);
        ++end;
      }
      words.push_back(text.substr(at, end - at));
      at = end;
    }
  }
}

void nginx(std::string_view text, const std::vector<std::string_view>& upstreams, std::vector<ConfigHost>& out) {
  bool in_upstream = false;
  nginx_statements(text, [&](const std::vector<std::string_view>& words, char end) {
    if (end == '}') in_upstream = false;
    if (end == '{') in_upstream = words.size() == 2 && words[0] == "upstream";
    if (end != ';' || words.size() < 2) return;
    const auto key = words[0];
    const bool pass = key == "proxy_pass" || key == "fastcgi_pass" || key == "uwsgi_pass" || key == "grpc_pass" || key == "scgi_pass" || key == "memcached_pass";
    if (!pass && !(in_upstream && key == "server")) return;
    if (words[1].find("unix:") != std::string_view::npos) return;
    const auto before = out.size();
    upstream(words[1], key, out);
    if (pass)
      out.erase(std::remove_if(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(),
                               [&](const ConfigHost& host) { return !host.host.port && std::ranges::find(upstreams, host.host.host) != upstreams.end(); }),
                out.end());
  });
}

/// Settings of YAML, JSON, TOML, INI, XML and env files, line by line: URLs, and host:port where a service has the name.
void settings(std::string_view text, std::vector<ConfigHost>& out) {
  while (!text.empty()) {
    auto line = next_line(text);
    const auto begin = line.find_first_not_of(" \t-[{\"'");
    if (begin == std::string_view::npos || line.size() > 8192) continue;
    line.remove_prefix(begin);
    if (line[0] == '#' || line[0] == ';' || line.starts_with("//") || line.starts_with("<!--")) continue;
    const auto comment = std::min(line.find(" #"), line.size());
    line = line.substr(0, comment);
    // "key: value", "key = value", "key": value, <key>value
    std::string_view key;
    const auto cut = line.find_first_of(":=>");
    if (cut != std::string_view::npos && !line.substr(cut).starts_with("://")) {
      const auto after = cut + 1 < line.size() ? line[cut + 1] : ' ';
      if (line[cut] != ':' || after == ' ' || after == '\t' || after == '"') {
        key = line.substr(0, cut);
        key = key.substr(0, key.find_last_not_of(" \t\"'/") + 1);
        line.remove_prefix(cut + 1);
      }
    }
    for (std::size_t at = line.find_first_not_of(" \t\r\"',[]{}()<>"); at != std::string_view::npos; at = line.find_first_not_of(" \t\r\"',[]{}()<>", at)) {
      const auto end = std::min(line.find_first_of(" \t\r\"',[]{}()<>", at), line.size());
      const auto token = line.substr(at, end - at);
      at = end;
      if (end < line.size() && (line[end] == '{' || line[end] == '<' || line[end] == '(')) {
        const bool closes = line.substr(end).starts_with("</");
        if (!closes) continue;  // a template follows
      }
      for (auto host : hosts_in_value(key, token)) {
        if (!host.port && host.scheme.empty()) continue;
        host.certainty = host.scheme.empty() ? Certainty::if_known : Certainty::perhaps;
        out.push_back({host, key, false});
      }
    }
  }
}

}  // namespace

std::string_view format_of(std::string_view path, std::string_view target, std::string_view product) {
  const auto name = sources::file_name(path);
  const auto inside = sources::file_name(target);
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  if (name.starts_with("Caddyfile") || inside == "Caddyfile" || ends(".caddyfile") || ends(".caddy")) return "caddyfile";
  if ((ends(".conf") || ends(".template")) && (product == "nginx" || target.find("/nginx") != std::string_view::npos)) return "nginx";
  if (ends(".yml") || ends(".yaml")) return "yaml";
  if (ends(".json")) return "json";
  if (ends(".toml")) return "toml";
  if (ends(".ini") || ends(".cnf") || ends(".cfg") || ends(".conf") || ends(".properties")) return "ini";
  if (ends(".xml")) return "xml";
  if (ends(".env")) return "env";
  if (ends(".sql")) return "sql";
  if (ends(".sh")) return "shell";
  return {};
}

void nginx_upstreams(std::string_view text, std::vector<std::string_view>& out) {
  nginx_statements(text, [&](const std::vector<std::string_view>& words, char end) {
    if (end == '{' && words.size() == 2 && words[0] == "upstream") out.push_back(words[1]);
  });
}

std::vector<ConfigHost> hosts_in_config(std::string_view format, std::string_view text, const std::vector<std::string_view>& upstreams) {
  std::vector<ConfigHost> out;
  if (format == "caddyfile") caddyfile(text, out);
  else if (format == "nginx") nginx(text, upstreams, out);
  else if (format != "sql" && format != "shell" && !format.empty()) settings(text, out);
  return out;
}

}  // namespace dm::wiring
