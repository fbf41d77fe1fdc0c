#include "rotate/account.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "secrets/crypto.hpp"

namespace dm::rotate {
namespace {

Source once(SecretString text) {
  return [text = std::make_shared<SecretString>(std::move(text)), given = false]() mutable -> Result<std::string> {
    if (given) return std::string{};
    given = true;
    return std::string(text->reveal());
  };
}

/// `password` reaches the program as its environment variable `variable` by the first line of its standard input: in the request it would pass through the
/// engine, whose runtime writes the environment of a process into a file of the host for a moment.
Result<engine::ExecResult> run(const Access& access, std::vector<std::string> argv, std::string_view variable, const SecretString* password, SecretString input, const Deadline& deadline,
                               std::string user = {}) {
  engine::Exec command;
  command.argv = std::move(argv);
  if (password != nullptr) {
    if (password->reveal().find('\n') != std::string_view::npos) return fail(Errc::unsupported, "a password with a line end in it cannot be handed to the server's client");
    const auto script = fmt::format("IFS= read -r {0} && export {0} && exec \"$@\"", variable);
    command.argv.insert(command.argv.begin(), {"sh", "-c", script, "sh"});
    SecretString first(password->reveal());
    first.append('\n');
    first.append(input.reveal());
    input = std::move(first);
  }
  if (!input.empty()) command.in = once(std::move(input));
  command.user = std::move(user);
  return access.engine.exec(access.container, command, deadline);
}

std::string last_words(const engine::ExecResult& result) {
  auto text = result.err.empty() ? result.out : result.err;
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.size() > 300 ? text.size() - 300 : 0);
}
Error refused(std::string_view program, const engine::ExecResult& result) { return {Errc::failed, fmt::format("'{}' ended with {}: {}", program, result.exit_code, last_words(result)), {}}; }

SecretString random_password() { return SecretString(secrets::hex(secrets::random_bytes(12))); }

std::string host_of(const Access& access) { return access.address.empty() ? "127.0.0.1" : access.address; }

std::string sql_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}
std::string sql_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : c == '\\' ? "\\\\" : std::string(1, c);
  return out + "'";
}

// --- PostgreSQL

/// "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey" (RFC 5803): the server stores it as it is.
std::string scram_verifier(const SecretString& password) {
  const auto salt = secrets::random_bytes(16);
  SecretString salted = SecretString::zeros(32);
  PKCS5_PBKDF2_HMAC(password.reveal().data(), static_cast<int>(password.size()), reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()), 4096, EVP_sha256(), 32, salted.udata());
  const auto client = secrets::hmac_sha256(salted.reveal(), "Client Key");
  const auto server = secrets::hmac_sha256(salted.reveal(), "Server Key");
  return fmt::format("SCRAM-SHA-256$4096:{}${}:{}", secrets::base64(salt, true), secrets::base64(secrets::sha256(client), true), secrets::base64(server, true));
}

Result<bool> postgres_works(const Access& access, const Target& target, const SecretString& password, const Deadline& deadline) {
  DM_TRY(const auto result, run(access, {"psql", "--no-psqlrc", "-h", host_of(access), "-U", target.account, "-d", "postgres", "-w", "-Atc", "select 1"}, "PGPASSWORD", &password, {}, deadline));
  if (result.fine()) return true;
  if (result.err.find("password authentication failed") != std::string::npos || result.err.find("does not exist") != std::string::npos) return false;
  return fail(Errc::unavailable, last_words(result));
}

Result<void> postgres_change(const Access& access, const Target& target, const SecretString& current, const SecretString& wanted, const Deadline& deadline) {
  const auto admin = access.admin.empty() ? target.account : access.admin;
  const auto* password = access.admin_password != nullptr ? access.admin_password : &current;
  SecretString sql(fmt::format("ALTER ROLE {} PASSWORD {};\n", sql_identifier(target.account), sql_text(scram_verifier(wanted))));
  DM_TRY(const auto result, run(access, {"psql", "--no-psqlrc", "-h", host_of(access), "-U", admin, "-d", "postgres", "-w", "-v", "ON_ERROR_STOP=1", "-q"}, "PGPASSWORD", password, std::move(sql), deadline));
  return result.fine() ? Result<void>() : fail(refused("psql", result));
}

// --- MariaDB

Result<bool> mariadb_works(const Access& access, const Target& target, const SecretString& password, const Deadline& deadline) {
  DM_TRY(const auto result, run(access, {"mariadb", "--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-u", target.account, "-N", "-e", "select 1"}, "MYSQL_PWD", &password, {}, deadline));
  if (result.fine()) return true;
  if (result.err.find("ERROR 1045") != std::string::npos || result.err.find("ERROR 1698") != std::string::npos) return false;
  return fail(Errc::unavailable, last_words(result));
}

/// mysql_native_password's hash: what the server keeps.
std::string native_hash(const SecretString& password) {
  unsigned char first[20], second[20];
  EVP_Q_digest(nullptr, "SHA1", nullptr, password.reveal().data(), password.size(), first, nullptr);
  EVP_Q_digest(nullptr, "SHA1", nullptr, first, sizeof first, second, nullptr);
  return "*" + secrets::hex(std::string_view(reinterpret_cast<const char*>(second), sizeof second), /*upper=*/true);
}

Result<void> mariadb_change(const Access& access, const Target& target, const SecretString& current, const SecretString& wanted, const Deadline& deadline) {
  const auto admin = access.admin.empty() ? target.account : access.admin;
  const auto* password = access.admin_password != nullptr ? access.admin_password : &current;
  const auto client = [&](SecretString sql) {
    return run(access, {"mariadb", "--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-u", admin, "-N", "-B"}, "MYSQL_PWD", password, std::move(sql), deadline);
  };
  // Only root sees who else is there; others change themselves.
  std::vector<std::string> hosts;
  if (admin == "root" || admin != target.account) {
    DM_TRY(const auto listed, client(SecretString(fmt::format("select host from mysql.user where user = {} and plugin in ('mysql_native_password', '');\n", sql_text(target.account)))));
    if (!listed.fine()) return fail(refused("mariadb", listed));
    for (std::size_t at = 0; at < listed.out.size();) {
      const auto end = std::min(listed.out.find('\n', at), listed.out.size());
      if (end > at) hosts.push_back(listed.out.substr(at, end - at));
      at = end + 1;
    }
    if (hosts.empty()) return fail(Errc::not_found, fmt::format("the server has no user '{}' with a password", target.account));
  }
  std::string sql;
  for (const auto& host : hosts) sql += fmt::format("{}{}@{} identified by password '{}'", sql.empty() ? "alter user " : ", ", sql_text(target.account), sql_text(host), native_hash(wanted));
  if (hosts.empty()) sql = fmt::format("set password = '{}'", native_hash(wanted));
  DM_TRY(const auto result, client(SecretString(sql + ";\n")));
  return result.fine() ? Result<void>() : fail(refused("mariadb", result));
}

// --- Valkey

Result<std::string> valkey_client(const Access& access, const Deadline& deadline) {
  for (const std::string program : {"valkey-cli", "redis-cli"}) {
    auto result = run(access, {program, "--version"}, "", nullptr, {}, deadline);
    if (result && result->fine()) return program;
    if (!result && result.error().code != Errc::not_found && result.error().code != Errc::failed) return fail(result.error());
  }
  return fail(Errc::unsupported, "the container has neither valkey-cli nor redis-cli");
}

Result<bool> valkey_works(const Access& access, const Target&, const SecretString& password, const Deadline& deadline) {
  DM_TRY(const auto program, valkey_client(access, deadline));
  DM_TRY(const auto result, run(access, {program, "-h", "127.0.0.1", "ping"}, "REDISCLI_AUTH", &password, {}, deadline));
  const auto all = result.out + result.err;
  // A refused AUTH is a warning only; a server without a password then answers the ping.
  if (all.find("AUTH failed") != std::string::npos || all.find("WRONGPASS") != std::string::npos || all.find("NOAUTH") != std::string::npos) return false;
  if (all.find("PONG") != std::string::npos) return true;
  return fail(Errc::unavailable, last_words(result));
}

Result<void> valkey_change(const Access& access, const Target&, const SecretString& current, const SecretString& wanted, const Deadline& deadline) {
  DM_TRY(const auto program, valkey_client(access, deadline));
  // The default user by hash: CONFIG SET requirepass would need the text, and MONITOR shows what is sent.
  SecretString script(fmt::format("ACL SETUSER default resetpass #{}\n", secrets::hex(secrets::sha256(wanted.reveal()))));
  DM_TRY(const auto result, run(access, {program, "-h", "127.0.0.1"}, "REDISCLI_AUTH", &current, std::move(script), deadline));
  if (result.fine() && result.out.find("OK") != std::string::npos) return {};
  return fail(refused(program, result));
}

// --- OpenLDAP

Result<bool> ldap_works(const Access& access, const Target& target, const SecretString& password, const Deadline& deadline) {
  DM_TRY(const auto result, run(access, {"ldapwhoami", "-x", "-H", "ldap://127.0.0.1:389", "-D", target.account, "-y", "/dev/stdin"}, "", nullptr, SecretString(password.reveal()), deadline));
  if (result.fine()) return true;
  if (result.exit_code == 49 || result.err.find("Invalid credentials") != std::string::npos) return false;
  return fail(Errc::unavailable, last_words(result));
}

std::string ssha(const SecretString& password) {
  const auto salt = secrets::random_bytes(8);
  SecretString text(password.reveal());
  text.append(salt);
  unsigned char hash[20];
  EVP_Q_digest(nullptr, "SHA1", nullptr, text.reveal().data(), text.size(), hash, nullptr);
  return "{SSHA}" + secrets::base64(std::string(reinterpret_cast<const char*>(hash), sizeof hash) + salt, true);
}

Result<void> ldap_change(const Access& access, const Target& target, const SecretString& current, const SecretString& wanted, const Deadline& deadline) {
  // The administrator's password may be an attribute of the entry, of the database's configuration, or of both.
  bool changed = false;
  const auto config = run(access, {"ldapsearch", "-Q", "-Y", "EXTERNAL", "-H", "ldapi:///", "-LLL", "-o", "ldif-wrap=no", "-b", "cn=config", fmt::format("(olcRootDN={})", target.account), "dn"}, "", nullptr, {}, deadline, "0");
  if (config && config->fine()) {
    for (std::size_t at = 0; at < config->out.size();) {
      const auto end = std::min(config->out.find('\n', at), config->out.size());
      const auto line = config->out.substr(at, end - at);
      at = end + 1;
      if (!line.starts_with("dn: ") || line.find("olcDatabase=") == std::string::npos) continue;
      SecretString ldif(fmt::format("{}\nchangetype: modify\nreplace: olcRootPW\nolcRootPW: {}\n", line, ssha(wanted)));
      DM_TRY(const auto result, run(access, {"ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", "ldapi:///"}, "", nullptr, std::move(ldif), deadline, "0"));
      if (!result.fine()) return fail(refused("ldapmodify", result));
      changed = true;
    }
  }
  if (changed) return {};
  // An entry: the account changes its own attribute. The password of the bind comes from a file of the container's own memory; ldapmodify reads its LDIF from stdin,
  // so that the bind's password goes by a constant script.
  SecretString input(current.reveal());
  input.append(fmt::format("\ndn: {}\nchangetype: modify\nreplace: userPassword\nuserPassword: {}\n", target.account, ssha(wanted)));
  const std::string script = "IFS= read -r pw; export pw; f=$(mktemp -p /dev/shm) || exit 1; trap 'rm -f \"$f\"' EXIT; chmod 600 \"$f\"; printf %s \"$pw\" >\"$f\"; ldapmodify -x -H ldap://127.0.0.1:389 -D \"$1\" -y \"$f\"";
  DM_TRY(const auto result, run(access, {"sh", "-c", script, "sh", target.account}, "", nullptr, std::move(input), deadline));
  return result.fine() ? Result<void>() : fail(refused("ldapmodify", result));
}

Result<bool> works(const Access& access, const Target& target, const SecretString& password, const Deadline& deadline) {
  switch (target.kind) {
    case Server::postgres: return postgres_works(access, target, password, deadline);
    case Server::mariadb: return mariadb_works(access, target, password, deadline);
    case Server::valkey: return valkey_works(access, target, password, deadline);
    case Server::ldap: return ldap_works(access, target, password, deadline);
  }
  return fail(Errc::unsupported, "an unknown kind of server");
}

}  // namespace

Result<bool> password_works(const Access& access, const Target& target, const SecretString& password, const Deadline& deadline) {
  DM_TRY(const bool fits, works(access, target, password, deadline));
  if (!fits) return false;
  DM_TRY(const bool any, works(access, target, random_password(), deadline));
  if (any) return fail(Errc::unsupported, fmt::format("the {} server '{}' takes any password for '{}' on this way in, so that nothing can be verified", to_string(target.kind), target.service, target.account));
  return true;
}

Result<void> change_password(const Access& access, const Target& target, const SecretString& current, const SecretString& wanted, const Deadline& deadline) {
  switch (target.kind) {
    case Server::postgres: return postgres_change(access, target, current, wanted, deadline);
    case Server::mariadb: return mariadb_change(access, target, current, wanted, deadline);
    case Server::valkey: return valkey_change(access, target, current, wanted, deadline);
    case Server::ldap: return ldap_change(access, target, current, wanted, deadline);
  }
  return fail(Errc::unsupported, "an unknown kind of server");
}

}  // namespace dm::rotate
