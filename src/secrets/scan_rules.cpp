// What is a secret by its name, and what a value is. Lists, visible on purpose.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "secrets/scan.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::secrets {
namespace {

using Words = std::vector<std::string>;

bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool alnum(char c) { return upper(c) || lower(c) || digit(c); }
std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (upper(c)) c = static_cast<char>(c + 32);
  return out;
}

/// DB_PASSWORD, dbPassword, db-password.0 -> db password
Words words_of(std::string_view name) {
  Words out;
  std::string word;
  const auto flush = [&] {
    while (!word.empty() && digit(word.back())) word.pop_back();
    if (!word.empty()) out.push_back(folded(word));
    word.clear();
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!alnum(c)) {
      flush();
      continue;
    }
    const bool hump = upper(c) && i > 0 && (lower(name[i - 1]) || (i + 1 < name.size() && lower(name[i + 1]) && upper(name[i - 1])));
    if (hump) flush();
    word += c;
  }
  flush();
  return out;
}

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& list) { return std::ranges::find(list, word) != list.end(); }

constexpr std::array<std::string_view, 23> kSecretWords{"tokens", "password", "passwd", "passphrase", "passwort", "pwd", "pass", "secret", "token", "apikey", "credential", "credentials", "pepper", "psk",
                                                        "passcode", "secretkey", "accesskey", "authkey", "passwords", "pin", "pw", "secretkeybase", "privatekey"};
/// Ends of words that were written together: dbpassword, rootpw.
constexpr std::array<std::string_view, 7> kSecretEnds{"password", "passwd", "secret", "token", "apikey", "passphrase", "secretkey"};
constexpr std::array<std::string_view, 9> kPass{"dbpass", "redispass", "mysqlpass", "ldappass", "smtppass", "adminpass", "rootpass", "userpass", "pgpass"};
constexpr std::array<std::string_view, 24> kKeyBefore{"security", "account", "storage", "shared", "api", "secret", "private", "access", "encryption", "signing", "master", "auth", "session", "hmac", "jwt", "app", "root", "encrypt", "crypto", "admin",
                                                      "license", "vault", "webhook", "token"};
constexpr std::array<std::string_view, 10> kNotBeforePass{"proxy", "fastcgi", "uwsgi", "grpc", "scgi", "memcached", "by", "first", "second", "multi"};
/// Words that make the name speak of something else, wherever they stand.
constexpr std::array<std::string_view, 17> kElse{"max", "min", "limit", "public", "publishable", "allow", "existing", "pull", "site", "csrf", "forgot", "forgotten", "reset", "placeholder", "label", "description", "example"};

constexpr std::array<std::string_view, 27> kNothing{"true", "false", "yes", "no", "on", "off", "none", "null", "nil", "string", "str", "required", "optional", "disabled", "enabled", "auto", "random", "prompt",
                                                    "generate", "generated", "undefined", "todo", "tbd", "default", "write", "read", "*"};
constexpr std::array<std::string_view, 26> kReferences{"/run/secrets/", "file:", "env:", "env.", "vault:", "op://", "os.environ", "ENC[", "!secret", "secret://", "awssm", "gcpsm", "ssm:", "arn:aws:",
                                                       "sealed.", "ref:", "secretref:", "@file", "%env(", "process.env", "getenv", "$__", "System.get_env", "vals:", "bw:", "keyring:"};
constexpr std::array<std::string_view, 62> kWeak{"changeme", "change_me", "change-me", "changeit", "changethis", "change_this", "password", "passw0rd", "p@ssw0rd", "pass", "secret", "secrets", "admin", "administrator", "root", "toor",
    "guest", "user", "test", "testing", "example", "postgres", "postgresql", "mysql", "mariadb", "redis", "mongo", "mongodb", "rabbitmq", "minioadmin", "minio", "elastic", "default", "demo", "letmein", "qwerty", "welcome",
    "123456", "12345678", "123456789", "1234567890", "1234", "12345", "111111", "password1", "password123", "admin123", "root123", "test123", "supersecret", "super_secret", "mysecretpassword", "my-secret-pw", "mypassword",
    "sk-1234", "verysecret", "insecure", "notsecure", "docker", "laravel", "dev", "foobar"};
constexpr std::array<std::string_view, 22> kSample{"your_", "your-", "yourpass", "yoursecret", "yourtoken", "<your", "replace", "change_me", "changeme", "change-me", "change_this", "change-this", "changethis", "insert_", "insert-",
    "must_generate", "insecure_", "dummy", "fake_", "some_", "super_secret", "example"};

bool all_same(std::string_view value) { return value.find_first_not_of(value[0]) == std::string_view::npos; }

}  // namespace

bool secret_variable(std::string_view name) {
  const auto words = words_of(name);
  if (words.empty()) return false;
  const auto& last = words.back();
  const auto before = words.size() > 1 ? std::string_view(words[words.size() - 2]) : std::string_view{};
  if (std::ranges::any_of(words, [](const std::string& word) { return one_of(word, kElse); })) return false;
  if (last == "key") return one_of(before, kKeyBefore);
  if (last == "base") return before == "key" || before == "secret";
  if (last == "cookie") return before == "erlang";
  if (last == "pass") return !one_of(before, kNotBeforePass);
  if (last == "pin" || last == "pw") return words.size() > 1;
  if (one_of(last, kSecretWords) || one_of(last, kPass)) return true;
  return last.size() > 6 && std::ranges::any_of(kSecretEnds, [&](std::string_view end) { return std::string_view(last).ends_with(end); });
}

ValueKind value_kind(std::string_view value, bool certain) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t' || value.back() == '\r' || value.back() == ',')) value.remove_suffix(1);
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) value = value.substr(1, value.size() - 2);
  if (value.empty()) return ValueKind::nothing;
  if (sensitive::looks_hashed(value) || value.starts_with("$$2") || value.starts_with("$$argon2") || value.starts_with("$$apr1$$") || value.starts_with("$$6$$") || value.starts_with("pbkdf2:")) return ValueKind::hash;
  const auto low = folded(value);
  if (one_of(low, kNothing)) return ValueKind::nothing;
  for (auto at = value.find('$'); at != std::string_view::npos; at = value.find('$', at + 1)) {
    const char next = at + 1 < value.size() ? value[at + 1] : '\0';
    const bool doubled = at > 0 && value[at - 1] == '$';  // "$${X}" is the shell's; "$$ecret" a dollar sign and letters
    if (next == '{' || next == '(' || upper(next) || next == '_' || (lower(next) && !doubled)) return ValueKind::reference;
  }
  if (value.find("{{") != std::string_view::npos || value.find("<%") != std::string_view::npos || value.find("%(") != std::string_view::npos) return ValueKind::reference;
  if (value.front() == '<' && value.back() == '>') return ValueKind::nothing;
  if (value.front() == '{' && value.back() == '}') return ValueKind::reference;
  if (value.front() == '[' && value.back() == ']') return ValueKind::nothing;
  if (value.front() == '%' && value.find('%', 1) != std::string_view::npos) return ValueKind::reference;
  if (std::ranges::any_of(kReferences, [&](std::string_view start) { return value.starts_with(start); })) return ValueKind::reference;
  if ((value.starts_with("/") || value.starts_with("./") || value.starts_with("../") || value.starts_with("~/")) && value.find('/', 1) != std::string_view::npos && value.find(' ') == std::string_view::npos && value.find("==") == std::string_view::npos && value.size() < 120)
    return ValueKind::reference;
  if (value.starts_with("http://") || value.starts_with("https://")) return ValueKind::reference;  // its password, if any, is the URL rule's
  if (std::ranges::count(value, ' ') >= (certain ? 9 : 3)) return ValueKind::nothing;               // a sentence
  if (std::ranges::all_of(value, digit) && value.size() < 4) return ValueKind::nothing;
  const auto duration_end = value.find_first_not_of("0123456789");
  if (duration_end != 0 && duration_end != std::string_view::npos && value.size() - duration_end <= 2 && value.size() <= 6) return ValueKind::nothing;
  if (value.find_first_not_of("*xX.-_#") == std::string_view::npos) return ValueKind::nothing;
  if (one_of(low, kWeak) || all_same(value) || low.starts_with("your")) return ValueKind::weak;
  if (std::ranges::any_of(kSample, [&](std::string_view part) { return low.find(part) != std::string::npos; })) return ValueKind::weak;
  if (low.find("password") != std::string::npos || low.find("secret") != std::string::npos || low.find("_pass") != std::string::npos || low.find("-pass") != std::string::npos) return ValueKind::weak;
  return ValueKind::literal;
}

namespace {

struct Shape {
  std::string_view kind, prefix, more;   ///< `more`: characters allowed besides letters and digits
  std::size_t least, most;               ///< after the prefix
};
constexpr std::array<Shape, 27> kShapes{{
    {"age identity", "AGE-SECRET-KEY-1", "", 58, 58}, {"AWS access key", "AKIA", "", 16, 16}, {"AWS temporary key", "ASIA", "", 16, 16},
    {"GitHub token", "ghp_", "", 36, 36}, {"GitHub token", "gho_", "", 36, 36}, {"GitHub token", "ghu_", "", 36, 36}, {"GitHub token", "ghs_", "", 36, 36},
    {"GitHub token", "github_pat_", "_", 60, 100}, {"GitLab token", "glpat-", "_-", 20, 60}, {"Slack token", "xoxb-", "-", 20, 100}, {"Slack token", "xoxp-", "-", 20, 100},
    {"Anthropic key", "sk-ant-", "_-", 40, 150}, {"OpenAI key", "sk-proj-", "_-", 40, 200}, {"OpenAI key", "sk-", "", 40, 60}, {"Hugging Face token", "hf_", "", 30, 40},
    {"Stripe key", "sk_live_", "", 20, 120}, {"Stripe key", "rk_live_", "", 20, 120}, {"SendGrid key", "SG.", "_-.", 60, 70}, {"npm token", "npm_", "", 36, 36},
    {"Tailscale key", "tskey-auth-", "-", 20, 80}, {"Vault token", "hvs.", "_-", 24, 120}, {"Docker token", "dckr_pat_", "_-", 20, 40}, {"Google key", "AIza", "_-", 35, 35},
    {"DigitalOcean token", "dop_v1_", "", 64, 64}, {"Cloudflare tunnel token", "eyJhIjoi", "=", 100, 400}, {"PyPI token", "pypi-AgEI", "_-", 50, 300}, {"Mailgun key", "key-", "", 32, 32},
}};

}  // namespace

std::optional<std::pair<std::string_view, std::string_view>> known_shape(std::string_view text, std::size_t from) {
  if (from > 0 && (alnum(text[from - 1]) || text[from - 1] == '_')) return std::nullopt;
  const auto rest = text.substr(from);
  if (rest.starts_with("-----BEGIN ")) {
    const auto end = rest.find("-----", 11);
    const auto what = rest.substr(0, end == std::string_view::npos ? 0 : end);
    if (what.ends_with("PRIVATE KEY") || what.ends_with("PRIVATE KEY BLOCK")) return std::pair("private key", rest.substr(0, end + 5));
  }
  for (const auto& shape : kShapes) {
    if (!rest.starts_with(shape.prefix)) continue;
    auto end = shape.prefix.size();
    while (end < rest.size() && (alnum(rest[end]) || shape.more.find(rest[end]) != std::string_view::npos)) ++end;
    const auto size = end - shape.prefix.size();
    if (size < shape.least || size > shape.most) continue;
    const auto body = rest.substr(shape.prefix.size(), size);
    if (all_same(body) || folded(body).find("example") != std::string::npos || folded(body).find("xxxx") != std::string::npos) continue;
    if (shape.prefix == "sk-" && std::ranges::none_of(body, digit)) continue;
    return std::pair(shape.kind, rest.substr(0, end));
  }
  if (rest.starts_with("eyJ")) {  // header.payload.signature
    std::size_t dots = 0, end = 0;
    while (end < rest.size() && (alnum(rest[end]) || rest[end] == '_' || rest[end] == '-' || rest[end] == '.')) dots += rest[end++] == '.' ? 1 : 0;
    if (dots == 2 && end > 60 && rest.substr(0, end).find(".eyJ") != std::string_view::npos) return std::pair("JSON web token", rest.substr(0, end));
  }
  return std::nullopt;
}

const std::vector<LeakRuleText>& leak_rules() {
  static const std::vector<LeakRuleText> rules{
      {LeakRule::literal, "secret-literal", "high", "a secret stands here in plain text", "seal it ('datamancy secrets set NAME'), put ${NAME:?} in its place, and change it: what was committed stays readable"},
      {LeakRule::weak, "weak-secret", "high", "a password that everybody tries first, or that a documentation gives", "make one ('datamancy secrets set NAME --generate') and put ${NAME:?} in its place"},
      {LeakRule::fallback, "default-secret", "medium", "works without the secret: the default is a password that everybody can read", "write ${NAME:?} so that a missing secret stops the start"},
      {LeakRule::url, "password-in-url", "high", "a URL with a password in plain text", "build the URL from sealed variables, or give the password by file"},
      {LeakRule::command, "password-in-command", "high", "a password as an argument, which every process of the host can read", "give it by environment or file"},
      {LeakRule::shape, "known-token", "critical", "a token or private key, by its form", "revoke it where it was issued, make a new one and seal it"},
      {LeakRule::sealed, "sealed-in-clear", "critical", "a sealed secret stands here in plain text", "take it out and change the secret; sealing alone does not help while it can be read here"},
      {LeakRule::hash, "password-hash", "info", "a hash of a password, which can be guessed at leisure", "keep it out of public places; seal it where the password is weak"},
  };
  return rules;
}
const LeakRuleText& about(LeakRule rule) { return leak_rules().at(static_cast<std::size_t>(rule)); }

}  // namespace dm::secrets
