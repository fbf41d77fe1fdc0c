#include "sensitive/sensitive.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "sensitive/options.hpp"

namespace dm::sensitive {

bool secret_name(std::string_view variable) {
  std::string upper(variable);
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c == '-' ? '_' : c; });
  static constexpr std::array kNot{"_FILE", "_URL", "_URI", "_PATH", "_DIR", "_EXPIRY", "_EXPIRES", "_TTL", "_LENGTH", "_ID", "_NAME",
                                   "_TIMEOUT", "_LIFETIME", "_DURATION", "_ENABLED", "_POLICY", "_HEADER", "_ALGORITHM", "_TYPE", "_ISSUER", "_USER"};
  if (std::ranges::any_of(kNot, [&](std::string_view ending) { return upper.ends_with(ending); })) return false;
  if (upper.find("PUBLIC") != std::string::npos || upper.find("ALLOW_EMPTY") != std::string::npos || upper.find("RANDOM_ROOT") != std::string::npos) return false;
  if (upper.ends_with("INITIAL_CLUSTER_TOKEN")) return false;  // etcd's name for a cluster
  static constexpr std::array kNames{"PASSWORD", "PASSWD", "PASSPHRASE", "_SECRET", "SECRET_KEY", "_TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY",
                                     "ENCRYPTION_KEY", "ACCESS_KEY", "MASTER_KEY", "SIGNING_KEY", "APP_KEY", "_PASS", "SECRET_ACCESS_KEY",
                                     "SECRET_KEY_BASE", "SECRET", "_PWD", "VAULT_KEY", "CRYPTO_KEY", "ENC_KEY", "JWT_KEY", "FERNET_KEY", "DBPASS", "REDISPASS"};
  return std::ranges::any_of(kNames, [&](std::string_view name) { return upper.ends_with(name) || upper == name.substr(name[0] == '_' ? 1 : 0); });
}

bool looks_hashed(std::string_view value) {
  static constexpr std::array kStarts{"$2a$", "$2b$", "$2y$", "$argon2", "$5$", "$6$", "$apr1$", "$pbkdf2", "{SSHA", "{ARGON2", "{CRYPT}", "SCRAM-SHA-256$", "pbkdf2_sha256$"};
  return std::ranges::any_of(kStarts, [&](std::string_view start) { return value.starts_with(start); });
}

bool made_of_sealed(std::string_view value) {
  for (auto at = value.find("sealed."); at != std::string_view::npos; at = value.find("sealed.", at + 1))
    if (at == 0 || std::string_view(":/@=,; '\"").find(value[at - 1]) != std::string_view::npos) return true;
  return false;
}

bool looks_sealed(std::string_view value) { return value.starts_with("ENC[AES256_GCM,") || value.starts_with("sealed."); }

std::string mask(std::string_view value) { return "(" + std::to_string(value.size()) + " characters)"; }

bool secret_option(std::string_view name) {
  static constexpr std::array kNames{"requirepass", "masterauth", "pass", "rc-pass", "auth-token"};
  if (std::ranges::find(kNames, name) != kNames.end()) return true;
  static constexpr std::array kSwitches{"no-", "ask-", "require-", "disable-", "enable-", "allow-", "generate-", "validate-", "skip-", "prompt-"};
  if (std::ranges::any_of(kSwitches, [&](const char* start) { return name.starts_with(start); })) return false;
  if (name.ends_with("access-key")) return name.ends_with("secret-access-key");
  return secret_name(name);
}

std::string_view short_secret(std::string_view program, std::string_view word, std::string_view next) {
  program = program.substr(program.rfind('/') + 1);
  if ((program == "redis-cli" || program == "valkey-cli") && word == "-a") return next;
  static constexpr std::array kSql{"mysql", "mysqladmin", "mysqldump", "mariadb", "mariadb-admin", "mariadb-dump"};
  if (std::ranges::find(kSql, program) != kSql.end() && word.starts_with("-p") && !word.starts_with("--")) return word.substr(2);
  return {};
}

namespace {

/// One line; every mask leaves the width as it is.
class Line {
 public:
  explicit Line(std::string_view line) : line_(line), out_(line), open_(line.size() + 1, '\0'), depth_(line.size() + 1, 0), comment_(line.size()) {
    char open = '\0';
    int depth = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      open_[i] = open;
      depth_[i] = depth;
      const char c = line[i];
      if (open != '\0') {
        if (c == '\\' && open == '"' && i + 1 < line.size()) open_[++i] = open, depth_[i] = depth;
        else if (c == open) open = '\0';
        continue;
      }
      if (quote(c) && (i == 0 || !word(line[i - 1]))) open = c;
      if ((c == '{' && (i == 0 || line[i - 1] != '$')) || c == '[') ++depth;
      if ((c == '}' || c == ']') && depth > 0) --depth;
      if (c == '#' && i > 0 && line[i - 1] == ' ' && comment_ == line.size()) comment_ = i - 1;
    }
    open_.back() = open;
    depth_.back() = depth;
  }

  std::string masked() {
    names();
    options();
    settings();
    urls();
    return std::move(out_);
  }

 private:
  static constexpr auto kNone = std::string_view::npos;

  static bool word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; }
  static bool quote(char c) { return c == '"' || c == '\''; }

  /// Stars for what is written out: variables and `$(...)` stay, literal defaults of variables do not.
  void hide(std::size_t begin, std::size_t end) {
    if (looks_hashed(undoubled(line_.substr(begin, end - begin)))) return;
    for (auto at = begin; at < end;) {
      if (line_[at] == '$' && at + 1 < end && (line_[at + 1] == '{' || line_[at + 1] == '(')) {
        at = reference(at, end);
      } else if (line_[at] == '$' && at + 1 < end && word(line_[at + 1]) && line_[at + 1] != '-' && (at == begin || line_[at - 1] != '$')) {
        for (++at; at < end && word(line_[at]) && line_[at] != '-';) ++at;
      } else {
        out_[at++] = '*';
      }
    }
  }

  /// Past `${NAME...}` or `$(...)`; a literal default or replacement is hidden.
  std::size_t reference(std::size_t at, std::size_t end) {
    const char open = line_[at + 1];
    const char close = open == '{' ? '}' : ')';
    int depth = 0;
    auto stop = at + 1;
    for (; stop < end; ++stop) {
      if (line_[stop] == open) ++depth;
      if (line_[stop] == close && --depth == 0) break;
    }
    if (open == '{') {
      auto name = at + 2;
      while (name < stop && word(line_[name]) && line_[name] != '-') ++name;
      if (name < stop && line_[name] == ':') ++name;
      if (name < stop && (line_[name] == '-' || line_[name] == '+') && name + 1 < stop) hide(name + 1, stop);
    }
    return std::min(stop + 1, end);
  }

  /// `$$` of Compose is one `$`.
  static std::string undoubled(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      out += text[i];
      if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '$') ++i;
    }
    return out;
  }

  /// Where the quote that opens just before `at` closes; the end of the line where it does not.
  std::size_t closing(std::size_t at, char mark) const {
    for (; at < line_.size(); ++at) {
      if (line_[at] == '\\' && mark == '"') ++at;
      else if (line_[at] == '\'' && mark == '\'' && at + 1 < line_.size() && line_[at + 1] == '\'') ++at;
      else if (line_[at] == mark) return at;
    }
    return line_.size();
  }

  /// The end of the value that begins at `at` without a quote of its own: of the quotes or brackets around it, else of the line.
  std::size_t value_end(std::size_t at) const {
    if (open_[at] != '\0') return closing(at, open_[at]);
    auto end = comment_ > at ? comment_ : line_.size();
    if (depth_[at] > 0) {
      int depth = 0;
      for (auto i = at; i < end; ++i) {
        if (line_[i] == '{') ++depth;
        if (depth == 0 && (line_[i] == ',' || line_[i] == '}' || line_[i] == ']')) return i;
        if (line_[i] == '}') --depth;
      }
    }
    while (end > at && (line_[end - 1] == ' ' || line_[end - 1] == '\r')) --end;
    return end;
  }

  /// `NAME: value`, `NAME=value`, `"NAME": "value"`, `--name=value`
  void names() {
    for (std::size_t i = 0; i < line_.size();) {
      if (!word(line_[i])) {
        ++i;
        continue;
      }
      const auto begin = i;
      while (i < line_.size() && word(line_[i])) ++i;
      const auto name = line_.substr(begin, i - begin);
      if (!secret_name(name) && !(name.starts_with('-') && secret_option(name.substr(std::min(name.find_first_not_of('-'), name.size()))))) continue;
      auto at = i;
      while (at < line_.size() && (quote(line_[at]) || line_[at] == ' ')) ++at;
      if (at >= line_.size() || (line_[at] != ':' && line_[at] != '=')) continue;
      for (++at; at < line_.size() && line_[at] == ' ';) ++at;
      if (at >= line_.size()) continue;
      const bool own = quote(line_[at]) && open_[at] != line_[at];
      const auto end = own ? closing(at + 1, line_[at]) : value_end(at);
      hide(at + (own ? 1 : 0), end);
      i = std::max(i, end);
    }
  }

  /// `--requirepass value`, `"-a", "value"` of redis-cli, `-pvalue` of mysql, `-u name:value` of curl.
  void options() {
    std::string_view program;
    for (std::size_t i = 0; i < line_.size();) {
      if (std::string_view(" ,[]\"'").find(line_[i]) != kNone) {
        ++i;
        continue;
      }
      const auto begin = i;
      i = word_end(i);
      const auto text = line_.substr(begin, i - begin);
      if (text.find('=') != kNone) continue;  // as in names()
      if (!text.starts_with('-')) {
        if (knows_short(text)) program = text;
        continue;
      }
      const auto at = next_word(i);
      const auto end = at == kNone ? kNone : argument_end(at);
      const auto next = at == kNone ? std::string_view() : line_.substr(at, end - at);
      const auto name = text.substr(std::min(text.find_first_not_of('-'), text.size()));
      const bool path = next.starts_with('/') && next.find('/', 1) != kNone;
      if (program.ends_with("curl") && (text == "-u" || text == "--user") && next.find(':') != kNone) {
        hide(at + next.find(':') + 1, end);
      } else if (secret_option(name)) {
        if (next.empty() || next.starts_with('-') || path) continue;
        hide(at, end);
      } else if (text == "-p" && i < line_.size() && quote(line_[i]) && open_[i] != line_[i] && !short_secret(program, "-px", "").empty()) {
        hide(i + 1, closing(i + 1, line_[i]));  // -p'value'
      } else if (const auto secret = short_secret(program, text, next); !secret.empty() && !secret.starts_with("-")) {
        const auto from = static_cast<std::size_t>(secret.data() - line_.data());
        hide(from, from + secret.size());
      } else {
        continue;
      }
      i = std::max(i, end == kNone ? i : end);
    }
  }

  static bool knows_short(std::string_view text) {
    text = text.substr(text.rfind('/') + 1);
    return text == "curl" || !short_secret(text, "-a", "x").empty() || !short_secret(text, "-px", "").empty();
  }
  std::size_t word_end(std::size_t at) const {
    const auto end = line_.find_first_of(" ,\"']", at);
    return end == kNone ? line_.size() : end;
  }
  /// Where the word after an option begins, past its blanks and a quote that opens.
  std::size_t next_word(std::size_t at) const {
    while (at < line_.size() && (line_[at] == ' ' || line_[at] == ',' || quote(line_[at]))) ++at;
    return at < line_.size() && line_[at] != ']' ? at : kNone;
  }
  /// A word in quotes of its own may hold blanks and commas.
  std::size_t argument_end(std::size_t at) const {
    if (at > 0 && quote(line_[at - 1])) return closing(at, line_[at - 1]);
    const bool list = depth_[at] > 0 && open_[at] == '\0';
    const auto end = line_.find_first_of(list ? " ,\"']" : " \"'", at);
    return end == kNone ? line_.size() : end;
  }

  /// `requirepass value` in a file of settings.
  void settings() {
    const auto begin = std::min(line_.find_first_not_of(" \t"), line_.size());
    const auto end = std::min(line_.find_first_of(" \t", begin), line_.size());
    static constexpr std::array kNames{"requirepass", "masterauth", "rootpw", "bindpw"};
    if (std::ranges::find(kNames, line_.substr(begin, end - begin)) == kNames.end()) return;
    if (const auto value = line_.find_first_not_of(" \t", end); value != kNone) hide(value, line_.find_last_not_of(" \r\t") + 1);
  }

  /// `scheme://name:value@host`, and `name:value@tcp(host)`, the form of Go's MySQL driver.
  void urls() {
    for (auto at = line_.find("://"); at != kNone; at = line_.find("://", at + 3)) {
      const auto rest = line_.substr(at + 3);
      const auto colon = rest.find(':');
      auto sign = rest.substr(0, rest.find_first_of("/ \"'")).rfind('@');
      if (sign == kNone && colon < rest.find('/')) {  // a '/' in the password
        const auto digits = std::min(rest.find_first_not_of("0123456789", colon + 1), rest.size());
        const bool port = digits > colon + 1 && (digits == rest.size() || !word(rest[digits]));
        if (!port) sign = rest.substr(0, rest.find_first_of(" \"'")).rfind('@');
      }
      if (sign != kNone && colon < sign) hide(at + 3 + colon + 1, at + 3 + sign);
    }
    for (const std::string_view mark : {"@tcp(", "@unix("})
      if (const auto sign = line_.find(mark); sign != kNone)
        if (const auto colon = line_.substr(0, sign).rfind(':'); colon != kNone) hide(colon + 1, sign);
  }

  std::string_view line_;
  std::string out_;
  std::string open_;        ///< by place: the quote that is open there, '\0' for none
  std::vector<int> depth_;  ///< by place: how many brackets are
  std::size_t comment_;     ///< where a comment begins
};

}  // namespace

std::string mask_line(std::string_view line) { return Line(line).masked(); }

}  // namespace dm::sensitive
