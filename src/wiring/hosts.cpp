#include "wiring/hosts.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace dm::wiring {
namespace {

using Certainty = HostText::Certainty;
using Words = std::initializer_list<std::string_view>;

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool host_char(char c) { return letter(c) || digit(c) || c == '-' || c == '_' || c == '.'; }

/// What may stand just after a host or a port. Anything else ('$', '{', '%', '*', ...) is a template: the name is unknown.
bool ends_host(char c) { return std::string_view(" \t\r\n/?#,;\"'`)]>|&").find(c) != std::string_view::npos; }

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    else if (c == '-' || c == '.') c = '_';
  return out;
}

bool ends_with_any(std::string_view text, Words endings) {
  return std::ranges::any_of(endings, [&](std::string_view ending) { return text.ends_with(ending); });
}

/// One of the words begins at the start of the name or after a '_': "DB" is in WORDPRESS_DB_HOST, not in FEEDBACK_HOST.
bool has_word(std::string_view name, Words words) {
  return std::ranges::any_of(words, [&](std::string_view word) {
    for (auto at = name.find(word); at != std::string_view::npos; at = name.find(word, at + 1))
      if (at == 0 || name[at - 1] == '_') return true;
    return false;
  });
}

bool plausible(std::string_view host) {
  if (host.empty() || host.size() > 253 || !(letter(host[0]) || digit(host[0]))) return false;
  const char last = host.back();
  if (!(letter(last) || digit(last) || last == '.')) return false;
  // A bare number is no name; 10.0.0.1 is an address and passes as a name with dots.
  return host.find_first_not_of("0123456789") != std::string_view::npos;
}

/// "host", "host:port" or "[v6]:port" at the start of `text`, followed by its end or by what may follow a host.
std::optional<HostText> authority(std::string_view text) {
  HostText out;
  std::size_t end = 0;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos || text.substr(1, close - 1).find_first_not_of("0123456789abcdefABCDEF:.%") != std::string_view::npos)
      return std::nullopt;
    out.host = text.substr(1, close - 1);
    end = close + 1;
  } else {
    while (end < text.size() && host_char(text[end])) ++end;
    out.host = text.substr(0, end);
    if (!plausible(out.host)) return std::nullopt;
  }
  if (end < text.size() && text[end] == ':') {
    auto stop = end + 1;
    while (stop < text.size() && !ends_host(text[stop])) ++stop;
    const auto port = text.substr(end + 1, stop - end - 1);
    if (!port.empty()) {
      out.port = port_number(port);
      if (!out.port) return std::nullopt;  // user:password, a v6 address without brackets, a template
    }
    return out;
  }
  if (end < text.size() && !ends_host(text[end])) return std::nullopt;
  return out;
}

bool local_scheme(std::string_view scheme) {
  return scheme == "file" || scheme == "unix" || scheme == "sqlite" || scheme == "sqlite3" || scheme == "npipe" || scheme == "fd" ||
         scheme == "data" || scheme == "memory" || scheme == "docker" || scheme == "oci" || scheme == "arn" || scheme == "s3" || scheme == "gs";
}

/// All URLs of a text, also those with several hosts (mongodb://a:1,b:2/x).
void urls(std::string_view value, Certainty certainty, std::vector<HostText>& out) {
  for (std::size_t at = value.find("://"); at != std::string_view::npos; at = value.find("://", at + 3)) {
    std::size_t begin = at;
    while (begin > 0 && (letter(value[begin - 1]) || digit(value[begin - 1]) || value[begin - 1] == '+' || value[begin - 1] == '.' || value[begin - 1] == '-'))
      --begin;
    const auto scheme = value.substr(begin, at - begin);
    if (scheme.empty() || !letter(scheme[0]) || local_scheme(scheme)) continue;
    auto rest = value.substr(at + 3);
    rest = rest.substr(0, rest.find_first_of(" \t\r\n\"'`<>|;"));
    const auto whole = rest;
    rest = rest.substr(0, rest.find_first_of("/?#"));
    if (const auto sign = rest.rfind('@'); sign != std::string_view::npos) {
      rest.remove_prefix(sign + 1);
    } else if (!scheme.starts_with("http") && whole.find('@') != std::string_view::npos) {
      continue;  // a password with a '/' or '#' in it: the host is anybody's guess
    }
    while (!rest.empty()) {
      const auto comma = std::min(rest.find(','), rest.size());
      const auto piece = rest.substr(0, comma);
      const bool next_url = piece.ends_with(':') && letter(piece[0]);  // "http://a,http://b"
      if (next_url && piece.data() != value.data() + at + 3) break;
      if (auto host = authority(piece)) {
        // What follows the piece must end it, too: "http://db$X".
        host->scheme = scheme;
        host->certainty = certainty;
        out.push_back(*host);
      }
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
}

/// user:password@tcp(host:port)/name, as Go's MySQL driver writes it.
void go_mysql(std::string_view value, std::vector<HostText>& out) {
  const auto at = value.find("@tcp(");
  if (at == std::string_view::npos) return;
  const auto close = value.find(')', at);
  if (close == std::string_view::npos) return;
  if (auto host = authority(value.substr(at + 5, close - at - 5))) {
    host->scheme = "mysql";
    out.push_back(*host);
  }
}

bool same_word(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

/// host=db port=5432 dbname=x (libpq), Server=db,1433;Database=x (ADO.NET), mysql:host=db;dbname=x (PDO).
void key_value_dsn(std::string_view value, std::vector<HostText>& out) {
  if (value.find('=') == std::string_view::npos) return;
  HostText found;
  std::string_view port;
  bool database = false;
  const bool semicolons = value.find(';') != std::string_view::npos;
  std::string_view scheme;
  for (const auto pdo : {"mysql:", "pgsql:"})
    if (value.starts_with(pdo)) {
      scheme = value.substr(0, value.find(':'));
      value.remove_prefix(value.find(':') + 1);
    }
  while (!value.empty()) {
    const auto end = std::min(value.find_first_of(semicolons ? ";" : " \t\n"), value.size());
    auto item = value.substr(0, end);
    value.remove_prefix(std::min(end + 1, value.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    const auto equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    const auto key = item.substr(0, equals);
    const auto text = item.substr(equals + 1);
    if (same_word(key, "host") || same_word(key, "server") || same_word(key, "data source")) {
      if (const auto host = authority(text)) found = *host;
      const auto comma = text.find(',');
      if (comma != std::string_view::npos && found.host.size() == comma) port = text.substr(comma + 1);
    } else if (same_word(key, "port")) {
      port = text;
    } else if (same_word(key, "dbname") || same_word(key, "database") || same_word(key, "user") || same_word(key, "user id") ||
               same_word(key, "uid") || same_word(key, "username") || same_word(key, "sslmode") || same_word(key, "initial catalog")) {
      database = true;
    }
  }
  if (!database || found.host.empty()) return;
  if (!found.port) found.port = port_number(port);
  found.scheme = scheme == "pgsql" ? "postgres" : scheme;
  out.push_back(found);
}

/// The name speaks of something that the service uses, so that its value surely is a host to call.
bool names_a_backend(std::string_view name) {
  return has_word(name, {"DB", "DATABASE", "POSTGRES", "PG", "SQL", "MYSQL", "MARIA", "REDIS", "VALKEY", "KEYDB", "CACHE", "MEMCACHE", "MONGO", "LDAP", "SMTP",
                        "RABBIT", "AMQP", "MQTT", "KAFKA", "NATS", "ELASTIC", "OPENSEARCH", "MEILI", "TYPESENSE", "CLICKHOUSE", "QDRANT", "MINIO",
                        "INFLUX", "PROMETHEUS", "LOKI", "TIKA", "GOTENBERG", "UPSTREAM", "BACKEND", "BROKER", "CLAMAV", "IMAP", "COUCH", "NEO4J",
                        "ZOOKEEPER", "ETCD", "CONSUL", "VAULT", "OLLAMA", "DOCKER_HOST", "MACHINE_LEARNING", "BOOTSTRAP"});
}

/// The value is what others may call the service, or who may call it: no connection.
bool names_itself(std::string_view name) {
  return has_word(name, {"ORIGIN", "CORS", "REDIRECT", "CALLBACK", "ALLOWED", "TRUSTED", "VIRTUAL_HOST", "LETSENCRYPT", "BIND", "LISTEN", "NO_PROXY",
                        "EMAIL_ADDRESS", "MAIL_FROM", "ADVERTISED", "WHITELIST", "ALLOWLIST", "CSRF", "COOKIE", "IMAGE", "HOSTS_ALLOW", "SUBNET", "IP_ADDRESS", "NAMESPACE"});
}

bool public_face(std::string_view name) {
  return has_word(name, {"ROOT_URL", "PUBLIC", "EXTERNAL", "BASE_URL", "SITE", "DOMAIN", "WEBSITE", "FRONTEND_URL", "APP_URL", "SERVER_URL", "HOMEPAGE", "ISSUER", "WEB_URL"});
}

bool host_name(std::string_view name) {
  if (name.ends_with("VHOST")) return false;  // of RabbitMQ, Apache: a name within the server
  return ends_with_any(name, {"HOST", "_HOSTNAME", "_HOSTS", "_SERVER", "_SERVERS", "_ADDR", "_ADDRESS", "_ADDRESSES", "_URL", "_URI", "_UPSTREAM",
                              "_ENDPOINT", "_ENDPOINTS", "_BROKER", "_BROKERS", "_NODES", "_DSN"}) ||
         name == "ADDR";
}

bool no_word(std::string_view text) {
  for (const auto word : {"true", "false", "yes", "no", "on", "off", "none", "null", "nil", "auto", "default", "disabled", "enabled", "any", "all", "changeme"})
    if (same_word(text, word)) return true;
  return false;
}

/// "a", "a:1" or "a:1,b:2" and nothing else.
bool host_list(std::string_view value, std::vector<HostText>& out) {
  const auto before = out.size();
  bool fine = !value.empty();
  while (fine && !value.empty()) {
    const auto end = std::min(value.find_first_of(",;"), value.size());
    auto piece = value.substr(0, end);
    value.remove_prefix(std::min(end + 1, value.size()));
    while (piece.starts_with(' ')) piece.remove_prefix(1);
    while (piece.ends_with(' ')) piece.remove_suffix(1);
    const auto path = piece.find('/');  // "cache:6379/0" has a port before it; "Europe/Berlin" has none
    const auto host = authority(piece);
    fine = host && piece.find_first_of("@ \t\n\"'`)>|&\\#?") == std::string_view::npos && (path == std::string_view::npos || host->port) && !no_word(host->host);
    if (fine) out.push_back(*host);
  }
  if (!fine) out.resize(before);
  return fine;
}

}  // namespace

std::optional<std::uint16_t> port_number(std::string_view text) {
  std::uint16_t port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || text.empty() || stop != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::string port_partner(std::string_view name) {
  for (const auto& [ending, drop] : {std::pair<std::string_view, std::size_t>{"HOSTNAME", 8}, {"HOST", 4}, {"_SERVER", 6}, {"_ADDRESS", 7}, {"_ADDR", 4},
                                     {"hostname", 8}, {"host", 4}, {"_server", 6}, {"_address", 7}, {"_addr", 4}})
    if (name.ends_with(ending)) return std::string(name.substr(0, name.size() - drop)) + (letter(ending.back()) && ending.back() >= 'a' ? "port" : "PORT");
  return {};
}

std::vector<HostText> hosts_in_value(std::string_view name, std::string_view value) {
  std::vector<HostText> out;
  const auto key = upper(name);
  if (names_itself(key)) return out;
  urls(value, public_face(key) ? Certainty::perhaps : Certainty::surely, out);
  if (!out.empty() || value.find("://") != std::string_view::npos) return out;
  go_mysql(value, out);
  if (out.empty()) key_value_dsn(value, out);
  if (!out.empty() || value.find('=') != std::string_view::npos || value.size() > 4096) return out;
  if (!host_list(value, out)) return out;
  if (host_name(key)) {
    for (auto& host : out) {
      const bool sure = names_a_backend(key) || (host.port && !public_face(key));
      host.certainty = sure ? Certainty::surely : Certainty::perhaps;
    }
    // A word behind ..._URL or ..._DSN need not be a host ("/path", "sqlite", a name of a data source).
    if (ends_with_any(key, {"_URL", "_URI", "_DSN", "_NODES"})) std::erase_if(out, [](const HostText& host) { return !host.port; });
    return out;
  }
  std::erase_if(out, [](const HostText& host) { return !host.port; });
  for (auto& host : out) host.certainty = Certainty::if_known;
  return out;
}

namespace {

/// Programs whose -h names a host, and not a call for help.
bool client(std::string_view program) {
  program = program.substr(program.rfind('/') + 1);
  for (const auto known : {"pg_isready", "psql", "pg_dump", "pg_dumpall", "pg_basebackup", "mysql", "mysqladmin", "mysqldump", "mariadb", "mariadb-admin",
                           "mariadb-dump", "redis-cli", "valkey-cli"})
    if (program == known) return true;
  return false;
}

bool operator_word(std::string_view word) {
  return word == "&&" || word == "||" || word == ";" || word == "|" || word == "&" || word == "do" || word == "then" || word == "!";
}

}  // namespace

std::vector<HostText> hosts_in_command(const std::vector<std::string_view>& words) {
  std::vector<HostText> out;
  std::vector<std::string_view> tokens;
  for (const auto word : words) {
    for (std::size_t at = 0; at < word.size();) {
      const auto begin = word.find_first_not_of(" \t\r\n\"'`(){}", at);
      if (begin == std::string_view::npos) break;
      auto end = std::min(word.find_first_of(" \t\r\n\"'`()", begin), word.size());
      at = end;
      if (word[begin] == '#') {  // a comment of a script: to the end of its line
        at = std::min(word.find('\n', begin), word.size());
        continue;
      }
      const bool semicolon = end > begin + 1 && word[end - 1] == ';';
      tokens.push_back(word.substr(begin, end - begin - (semicolon ? 1 : 0)));
      if (semicolon) tokens.push_back(";");
    }
  }
  std::string_view program;
  std::string_view option;
  std::size_t start = 0;  // of the present command within the tokens
  int netcat = 0;  // operands of nc that were seen, counted from 1
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto token = tokens[i];
    if (operator_word(token) || program.empty()) {
      program = operator_word(token) ? std::string_view() : token;
      const auto name = program.substr(program.rfind('/') + 1);
      start = i;
      netcat = name == "nc" || name == "ncat" || name == "netcat" ? 1 : 0;
      option = {};
      if (operator_word(token)) continue;
      if (token.find("://") == std::string_view::npos && token.find('=') == std::string_view::npos) {
        if (name == "exec" || name == "until" || name == "while" || name == "if" || name == "CMD" || name == "CMD-SHELL" || name == "NONE" || name == "sh" ||
            name == "bash" || name == "-c" || name == "-ec" || name == "timeout" || name == "not" || (!name.empty() && digit(name[0]))) {
          program = {};
          continue;
        }
        if (netcat != 0 || client(name)) continue;
      }
    }
    if (token.find("://") != std::string_view::npos) {
      const auto equals = token.find('=');
      const auto name = token.starts_with("-") && equals < token.find("://") ? token.substr(0, equals) : option;
      auto found = hosts_in_value(name.substr(std::min(name.find_first_not_of('-'), name.size())), token);
      out.insert(out.end(), found.begin(), found.end());
      option = {};
      continue;
    }
    if (client(program) && (token == "-h" || token == "--host") && i + 1 < tokens.size()) {
      if (auto host = authority(tokens[++i]); host && host->host.size() == tokens[i].size()) {
        const bool p_is_password = program.find("mysql") != std::string_view::npos || program.find("mariadb") != std::string_view::npos;
        for (std::size_t j = start + 1; j + 1 < tokens.size() && !operator_word(tokens[j]); ++j)
          if (tokens[j] == (p_is_password ? "-P" : "-p") || tokens[j] == "--port") host->port = port_number(tokens[j + 1]);
        out.push_back(*host);
      }
      continue;
    }
    if (client(program) && token.starts_with("--host=")) {
      if (const auto host = authority(token.substr(7))) out.push_back(*host);
      continue;
    }
    if (netcat != 0 && !token.starts_with('-')) {
      if (netcat == 1 && i + 1 < tokens.size()) {
        if (auto host = authority(token); host && host->host.size() == token.size() && port_number(tokens[i + 1])) {
          host->port = port_number(tokens[++i]);
          out.push_back(*host);
        }
      }
      netcat = 0;
      continue;
    }
    if (token.starts_with('-')) {
      const auto equals = token.find('=');
      option = equals == std::string_view::npos ? token : std::string_view();
      if (equals == std::string_view::npos) continue;
      auto name = token.substr(0, equals);
      name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
      for (auto& host : hosts_in_value(name, token.substr(equals + 1))) {
        if (!host.port && host.certainty != Certainty::surely) continue;
        if (host.certainty == Certainty::surely && host.scheme.empty()) host.certainty = host.port ? Certainty::if_known : Certainty::perhaps;
        out.push_back(host);
      }
      continue;
    }
    std::vector<HostText> list;
    if (host_list(token, list))
      for (auto& host : list) {
        if (!host.port) continue;
        host.certainty = Certainty::if_known;
        out.push_back(host);
      }
    option = {};
  }
  return out;
}

}  // namespace dm::wiring
