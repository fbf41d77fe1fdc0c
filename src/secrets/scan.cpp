#include "secrets/scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "formats/settings.hpp"
#include "secrets/sops.hpp"
#include "text/span.hpp"

namespace dm::secrets {
namespace {

constexpr std::size_t kMaxText = 4U << 20U;

bool name_char(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}
std::string_view unquoted(std::string_view text) {
  text = trimmed(text);
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front()) text = text.substr(1, text.size() - 2);
  return text;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }
bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) { return text.ends_with(end); });
}

class Scan {
 public:
  Scan(std::string_view path, std::string_view text) : path_(path), text_(text), lines_(text), sample_(scan_sample(path)) {}

  std::vector<Leak> run() {
    const auto format = formats::detect_format(path_, text_);
    using formats::Format;
    const bool tree = format != Format::unknown && format != Format::nginx && format != Format::caddyfile;
    const auto settings = tree ? formats::read_settings(format, text_) : Result<std::vector<formats::Setting>>(fail(Errc::unsupported, ""));
    certain_ = format == Format::env;  // every line is a variable
    if (settings) {
      for (const auto& setting : *settings) visit(setting);
    } else if (!ends_with_any(path_, {".md", ".rst", ".html", ".adoc"})) {
      const bool loose = ends_with_any(path_, {".env", ".conf", ".cfg", ".ini", ".properties", ".sh", ".service", ".yaml", ".yml", ".toml"}) || base_name(path_).find('.') == std::string_view::npos ||
                         base_name(path_).find(".env") != std::string_view::npos;
      by_lines(text_, 0, loose);
    }
    comments();
    raw_text();
    std::erase_if(leaks_, [&](const Leak& leak) { return allowed(leak.line); });
    std::ranges::stable_sort(leaks_, {}, &Leak::line);
    return std::move(leaks_);
  }

 private:
  std::size_t line_at(std::size_t offset) const { return lines_.position(text_, static_cast<std::uint32_t>(std::min(offset, text_.size()))).line; }
  bool allowed(std::size_t line) const {
    const auto span = lines_.line(line);
    return text_.substr(span.begin, span.size()).find("datamancy:allow-secret ") != std::string_view::npos;
  }

  void add(LeakRule rule, std::size_t offset, std::string_view name, std::string_view value) {
    const auto line = line_at(offset);
    if (!seen_.emplace(line, std::string(value)).second) return;
    leaks_.push_back({rule, std::string(path_), line, std::string(name), SecretString(value), std::string(sample_ && rule != LeakRule::shape ? "info" : about(rule).severity), {}, {}});
  }

  /// A value under a name.
  void judge(std::string_view name, std::string_view value, std::size_t offset, bool certain) {
    if (!secret_variable(name)) return;
    for (const std::string_view digest : {"SHA256", "SHA512", "sha256", "BCRYPT"})  // GRAYLOG_ROOT_PASSWORD_SHA2 ends otherwise
      if (name.find(digest) != std::string_view::npos && value.size() >= 40) return add(LeakRule::hash, offset, name, unquoted(value));
    value = unquoted(value);
    if (const auto fallback = default_of(value); fallback) {
      const auto kind = value_kind(*fallback);
      if (kind == ValueKind::literal || kind == ValueKind::weak) add(LeakRule::fallback, offset, name, *fallback);
      return;
    }
    switch (value_kind(value, certain)) {
      case ValueKind::nothing:
      case ValueKind::reference: return;
      case ValueKind::hash: return add(LeakRule::hash, offset, name, value);
      case ValueKind::weak: return certain || value.find(' ') == std::string_view::npos ? add(LeakRule::weak, offset, name, value) : void();
      case ValueKind::literal: return certain || value.find(' ') == std::string_view::npos ? add(LeakRule::literal, offset, name, value) : void();
    }
  }

  /// "${NAME:-text}" as a whole: text. "" where there is a reference without a default.
  static std::optional<std::string_view> default_of(std::string_view value) {
    if (!value.starts_with("${") || !value.ends_with('}')) return std::nullopt;
    const auto inner = value.substr(2, value.size() - 3);
    std::size_t end = 0;
    while (end < inner.size() && name_char(inner[end]) && inner[end] != '-') ++end;
    auto rest = inner.substr(end);
    if (rest.starts_with(":-")) return rest.substr(2);
    if (rest.starts_with("-")) return rest.substr(1);
    return std::nullopt;
  }

  void visit(const formats::Setting& setting) {
    const auto offset = setting.value_span.begin;
    auto key = std::string_view(setting.key);
    std::vector<std::string_view> parts;
    for (std::size_t at = 0; at <= key.size();) {
      const auto end = std::min(key.find('.', at), key.size());
      parts.push_back(key.substr(at, end - at));
      at = end + 1;
    }
    const auto number = [](std::string_view part) { return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos; };
    const bool item = parts.size() > 1 && number(parts.back());
    const auto last = item ? parts[parts.size() - 2] : parts.back();
    const auto under = [&](std::string_view name) { return std::ranges::find(parts, name) != parts.end(); };

    if (setting.value.find('\n') != std::string::npos) return by_lines(setting.value, offset, true);
    if (under("command") || under("entrypoint") || under("test") || last == "ExecStart") command(setting.value, offset);
    // A list of names of secrets, or where one is to be found, is none.
    if (under("secrets") && (item || last == "source" || last == "target" || last == "file" || last == "environment" || last == "name" || last == "external")) return;
    if (item && (under("environment") || under("args") || under("labels") || last == "env")) {
      const auto cut = setting.value.find('=');
      if (cut != std::string::npos) judge(leaf_name(std::string_view(setting.value).substr(0, cut)), std::string_view(setting.value).substr(cut + 1), offset, true);
      return;
    }
    if (item) return;
    judge(last, setting.value, offset, certain_ || under("environment") || under("args"));
  }
  /// "traefik.http.x.password" -> "password"; a variable stays as it is.
  static std::string_view leaf_name(std::string_view name) { return name.substr(name.rfind('.') + 1); }

  /// NAME=value, name: value, "name": "value" line by line. `loose`: values without quotes count too.
  void by_lines(std::string_view text, std::size_t base, bool loose) {
    const bool inside = text.data() != text_.data();  // of a value: its lines have no exact place
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      auto line = text.substr(at, end - at);
      const auto offset = inside ? base : at;
      at = end + 1;
      if (line.size() > 4000) continue;
      auto content = trimmed(line);
      if (content.empty() || content[0] == '#' || content.starts_with("//") || content[0] == ';' || content[0] == '*') continue;
      if (loose) command(content, offset);
      for (const auto* word : {"export ", "ENV ", "ARG ", "- ", "set ", "SET "})
        if (content.starts_with(word)) content.remove_prefix(std::string_view(word).size());
      const auto sign = content.find_first_of("=:");
      if (sign == std::string_view::npos || sign == 0 || content.substr(sign).starts_with("==") || content.substr(sign).starts_with("=>") ) continue;
      auto name_end = content.substr(0, sign).find_last_not_of(" \t\"'+?");
      if (name_end == std::string_view::npos) continue;
      auto name_begin = name_end + 1;
      while (name_begin > 0 && name_char(content[name_begin - 1])) --name_begin;
      const auto name = content.substr(name_begin, name_end + 1 - name_begin);
      if (name.empty()) continue;
      auto value = trimmed(content.substr(sign + 1));
      if (value.starts_with('=')) continue;
      const bool quoted = !value.empty() && (value[0] == '"' || value[0] == '\'');
      if (quoted) {
        const auto close = value.find(value[0], 1);
        if (close == std::string_view::npos) continue;
        value = value.substr(1, close - 1);
      } else if (!loose && !(name_begin == 0 && shouting(name))) {
        continue;
      } else if (const auto note = value.find(" #"); note != std::string_view::npos) {
        value = trimmed(value.substr(0, note));
      }
      if (!quoted && value.find_first_of(" (){};") != std::string_view::npos) continue;
      judge(leaf_name(name), value, offset, quoted);
    }
  }

  /// --password=x, --requirepass x, -pX after mysql, redis-cli -a x, PGPASSWORD=x, curl -u user:x.
  void command(std::string_view text, std::size_t offset) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at < text.size();) {
      const auto begin = text.find_first_not_of(" \t", at);
      if (begin == std::string_view::npos) break;
      auto end = begin;
      char quote = 0;
      for (; end < text.size() && (quote != 0 || (text[end] != ' ' && text[end] != '\t')); ++end) {
        if (quote == 0 && (text[end] == '"' || text[end] == '\'')) quote = text[end];
        else if (text[end] == quote) quote = 0;
      }
      words.push_back(text.substr(begin, end - begin));
      at = end;
    }
    const auto literal = [](std::string_view value) {
      const auto kind = value_kind(unquoted(value));
      return kind == ValueKind::literal || kind == ValueKind::weak;
    };
    std::string_view program;
    for (std::size_t i = 0; i < words.size(); ++i) {
      auto word = words[i];
      const auto next = i + 1 < words.size() ? words[i + 1] : std::string_view{};
      for (const std::string_view name : {"redis-cli", "valkey-cli", "mysql", "mysqladmin", "mariadb", "mariadb-admin", "mysqldump", "mariadb-dump", "curl", "ldapsearch", "ldapadd", "ldapmodify", "ldapwhoami"})
        if (base_name(unquoted(word)) == name) program = name;
      const auto cut = word.find('=');
      const auto flag = word.substr(0, cut);
      if (word.starts_with("--") && (flag == "--requirepass" || flag == "--masterauth" || secret_variable(flag))) {
        auto value = cut == std::string_view::npos ? next : word.substr(cut + 1);
        while (value.ends_with(';')) value.remove_suffix(1);
        if (!value.empty() && value[0] != '-' && literal(value)) add(LeakRule::command, offset, flag, unquoted(value));
      }
      if ((program == "redis-cli" || program == "valkey-cli") && word == "-a" && !next.empty() && literal(next)) add(LeakRule::command, offset, "-a", unquoted(next));
      if ((program.starts_with("mysql") || program.starts_with("mariadb")) && word.starts_with("-p") && word.size() > 2 && !word.starts_with("--") && literal(word.substr(2))) add(LeakRule::command, offset, "-p", unquoted(word.substr(2)));
      if (program.starts_with("ldap") && word == "-w" && !next.empty() && literal(next)) add(LeakRule::command, offset, "-w", unquoted(next));
      if (program == "curl" && (word == "-u" || word == "--user") && unquoted(next).find(':') != std::string_view::npos) {
        const auto pair = unquoted(next);
        const auto password = pair.substr(pair.find(':') + 1);
        if (literal(password)) add(LeakRule::command, offset, "-u", password);
      }
    }
  }

  static bool shouting(std::string_view name) { return name.size() > 3 && name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos; }

  /// What was commented out is as readable as before; only values that look made, not typed.
  void comments() {
    for (std::size_t at = 0; at < text_.size();) {
      const auto end = std::min(text_.find('\n', at), text_.size());
      const auto offset = at;
      auto line = trimmed(text_.substr(at, end - at));
      at = end + 1;
      if (!line.starts_with('#') || line.size() > 400) continue;
      while (!line.empty() && (line[0] == '#' || line[0] == ' ' || line[0] == '-' || line[0] == '\t')) line.remove_prefix(1);
      const auto sign = line.find_first_of("=:");
      if (sign == std::string_view::npos || !shouting(trimmed(line.substr(0, sign)))) continue;
      auto value = trimmed(line.substr(sign + 1));
      value = unquoted(value.substr(0, value.find(" #")));
      const bool made = value.size() >= 12 && value.find(' ') == std::string_view::npos && value.find_first_of("0123456789") != std::string_view::npos &&
                        value.find_first_of("abcdefghijklmnopqrstuvwxyz") != std::string_view::npos;
      if (made && secret_variable(trimmed(line.substr(0, sign))) && value_kind(value) == ValueKind::literal) add(LeakRule::literal, offset, trimmed(line.substr(0, sign)), value);
    }
  }

  /// URLs and tokens, wherever they stand, comments too.
  void raw_text() {
    for (auto at = text_.find("://"); at != std::string_view::npos; at = text_.find("://", at + 3)) {
      const auto rest = text_.substr(at + 3, 400);
      const auto sign = rest.substr(0, rest.find_first_of("/ \t\r\n\"'`<>,;")).rfind('@');
      if (sign == std::string_view::npos) continue;
      const auto colon = rest.find(':');
      if (colon == std::string_view::npos || colon >= sign || colon + 1 == sign) continue;
      const auto password = rest.substr(colon + 1, sign - colon - 1);
      if (password.find_first_of("$<{%*[(") != std::string_view::npos && value_kind(password) != ValueKind::literal) continue;
      if (password.find_first_of("<{$[(") != std::string_view::npos || password.find("...") != std::string_view::npos) continue;
      const auto kind = value_kind(password);
      if (kind == ValueKind::literal || kind == ValueKind::weak) add(LeakRule::url, at, "URL", password);
    }
    for (std::size_t at = 0; at < text_.size(); ++at) {
      const char c = text_[at];
      if (std::string_view("AgsxhSnvtdDepkP-").find(c) == std::string_view::npos) continue;  // what the shapes begin with
      if (const auto shape = known_shape(text_, at)) {
        add(LeakRule::shape, at, shape->first, shape->second);
        at += shape->second.size() - 1;
      }
    }
  }

  std::string_view path_, text_;
  text::LineIndex lines_;
  bool sample_;
  bool certain_ = false;
  std::vector<Leak> leaks_;
  std::set<std::pair<std::size_t, std::string>> seen_;
};

bool letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool number(char c) { return c >= '0' && c <= '9'; }

/// "production", "Vienna", "POSTGRES", "db2": letters in one case but for the first, at most two digits behind.
bool plain_word(std::string_view text) {
  for (int i = 0; i < 2 && !text.empty() && number(text.back()); ++i) text.remove_suffix(1);
  if (text.empty() || !std::ranges::all_of(text, letter)) return false;
  const auto upper = std::ranges::count_if(text, [](char c) { return c <= 'Z'; });
  return upper == 0 || (upper == 1 && text[0] <= 'Z') || static_cast<std::size_t>(upper) == text.size();
}

/// "db.example.org", "db.example.org:5432"; an address of a mailbox there is none, either.
bool host_name(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos && std::ranges::all_of(text.substr(colon + 1), number)) text = text.substr(0, colon);
  const auto dot = text.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || text.size() - dot < 3 || !std::ranges::all_of(text.substr(dot + 1), letter)) return false;
  return std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || number(c) || c == '.' || c == '-'; });
}

/// What stands in many files without being a secret: a time zone, a locale, a host or an address there, numbers, a word or two, an image.
bool harmless(std::string_view value) {
  if (std::ranges::all_of(value, [](char c) { return number(c) || std::string_view(".,:-/ ").find(c) != std::string_view::npos; })) return true;
  for (const std::string_view region : {"Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/", "Etc/"})
    if (value.starts_with(region) && value.find_first_of(" :@=") == std::string_view::npos) return true;
  if (value.size() >= 5 && value[2] == '_' && letter(value[0]) && letter(value[1]) && plain_word(value.substr(3, 2)) && (value.size() == 5 || value[5] == '.')) return true;
  const auto sign = value.find('@');
  if (host_name(sign == std::string_view::npos ? value : value.substr(sign + 1)) && (sign == std::string_view::npos || value.find_first_of(":/ ") == std::string_view::npos)) return true;
  // An image: registry and folders in small letters, a tag that begins like a version.
  if (const auto tag = value.rfind(':'); tag != std::string_view::npos && tag + 1 < value.size() && (number(value[tag + 1]) || value[tag + 1] == 'v' || value.substr(tag + 1) == "latest")) {
    const auto name = value.substr(0, tag);
    if (value.find("//") == std::string_view::npos && value.find_first_of(" @") == std::string_view::npos &&
        std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || number(c) || std::string_view("./_-").find(c) != std::string_view::npos; }) && value.size() - tag <= 24)
      return true;
  }
  const auto cut = value.find_first_of("-_. ");
  if (cut == std::string_view::npos) return value.size() < 12 && plain_word(value);
  if (value.size() < 16 && plain_word(value.substr(0, cut)) && plain_word(value.substr(cut + 1))) return true;
  // The name of a site: three words. A passphrase has more.
  return value.size() < 28 && std::ranges::count(value, ' ') == 2 && std::ranges::all_of(value, [](char c) { return letter(c) || c == ' '; });
}

bool unreadable(std::string_view text) { return text.size() > kMaxText || text.substr(0, 8192).find('\0') != std::string_view::npos; }

}  // namespace

std::string Leak::shown() const {
  const auto text = value.reveal();
  std::string head;
  for (const char c : text.substr(0, text.size() >= 8 ? 2 : 0)) head += c >= 0x20 && c < 0x7f ? c : '?';
  return fmt::format("{}... ({} characters)", head, text.size());
}

bool scan_skips(std::string_view path) {
  for (const std::string_view folder : {".git/", "node_modules/", "vendor/", ".github/", ".gitea/", ".forgejo/", "__pycache__/", ".venv/", "venv/", ".terraform/"})
    if (path.starts_with(folder) || path.find("/" + std::string(folder)) != std::string_view::npos) return true;
  const auto name = base_name(path);
  if (ends_with_any(name, {"-lock.json", ".lock", "-lock.yaml", "lock.yaml", ".sum", ".min.js", ".map", ".svg", ".png", ".jpg", ".jpeg", ".gif", ".ico", ".pdf", ".zip", ".gz", ".xz", ".zst", ".woff", ".woff2", ".ttf", ".jar"})) return true;
  return name == "go.sum" || name == "package-lock.json" || name == ".datamancy-secrets-baseline";
}

bool scan_sample(std::string_view path) {
  const auto name = base_name(path);
  for (const std::string_view part : {".example", ".sample", ".template", ".dist", "example.", "sample."})
    if (name.find(part) != std::string_view::npos) return true;
  return false;
}

std::vector<Leak> scan_file(std::string_view path, std::string_view text) {
  if (unreadable(text)) return {};
  if (sealed_store(text)) return {};
  return Scan(path, text).run();
}

std::vector<Leak> scan_for(std::string_view path, std::string_view text, const std::vector<std::pair<std::string, SecretString>>& sealed) {
  std::vector<Leak> out;
  if (unreadable(text) || sealed_store(text)) return out;
  std::optional<text::LineIndex> lines;
  for (const auto& [name, value] : sealed) {
    if (value.size() < 8 || value_kind(value.reveal(), true) != ValueKind::literal) continue;
    // A whole .env was sealed: of TZ=Europe/Vienna nobody needs to hear where else it stands.
    if (!secret_variable(name) && harmless(value.reveal())) continue;
    for (auto at = text.find(value.reveal()); at != std::string_view::npos; at = text.find(value.reveal(), at + value.size())) {
      const auto inside = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
      if ((at > 0 && inside(text[at - 1]) && inside(value.reveal().front())) || (at + value.size() < text.size() && inside(text[at + value.size()]) && inside(value.reveal().back()))) continue;
      if (!lines) lines.emplace(text);
      out.push_back({LeakRule::sealed, std::string(path), lines->position(text, static_cast<std::uint32_t>(at)).line, name, SecretString(value.reveal()), std::string(about(LeakRule::sealed).severity), {}, {}});
    }
  }
  return out;
}

}  // namespace dm::secrets
