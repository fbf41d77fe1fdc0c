#include "rotate/target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "secrets/runtime_files.hpp"

namespace dm::rotate {
namespace {

struct Refusal {
  std::string_view part, why;
};
/// Keys under which data lies. A new one makes the data unreadable.
constexpr std::array kRefusals{
    Refusal{"STORAGE_ENCRYPTION_KEY", "Authelia's database is encrypted with it: run 'authelia storage encryption change-key' and set the value afterwards"},
    Refusal{"ACTIVE_RECORD_ENCRYPTION", "Mastodon's columns are encrypted with it and it cannot be changed without a migration"},
    Refusal{"OTP_SECRET", "two-factor secrets of all users are encrypted with it"},
    Refusal{"SALT_KEY", "LiteLLM's stored credentials are encrypted with it; they would have to be entered again"},
    Refusal{"SECRET_KEY_BASE", "sessions, and in some products columns, are encrypted with it; follow the product's own procedure"},
    Refusal{"VAPID", "all push subscriptions belong to this key pair"},
    Refusal{"ENCRYPTION_KEY", "data is encrypted with it; follow the product's own procedure for a new key"},
    Refusal{"ENCRYPTION_SECRET", "data is encrypted with it; follow the product's own procedure for a new key"},
    Refusal{"MASTER_KEY", "data is encrypted with it, or clients hold it; follow the product's own procedure"},
    Refusal{"VAULT_KEY", "data is encrypted with it"},
    Refusal{"CRYPTO_KEY", "data is encrypted with it"},
    Refusal{"APP_KEY", "columns and sessions are encrypted with it; follow the product's own procedure"},
    Refusal{"KOPIA_PASSWORD", "it opens the repository: 'kopia repository change-password' first, then set the value"},
    Refusal{"RESTIC_PASSWORD", "it opens the repository: 'restic key passwd' first, then set the value"},
    Refusal{"BORG_PASSPHRASE", "it opens the repository: 'borg key change-passphrase' first, then set the value"},
    Refusal{"REPOSITORY_PASSWORD", "it opens the backups: change the password of the repository first"},
    Refusal{"SIGNING_KEY", "everything signed with it, tokens and federation, would stop being valid"},
    Refusal{"PRIVATE_KEY", "others hold the public half"},
};

bool made_of(const compose::Value* value, std::string_view variable) {
  if (value == nullptr || value->segments == nullptr) return false;
  return std::ranges::any_of(*value->segments, [&](const compose::Segment& s) { return s.kind == compose::Segment::Kind::variable && s.variable == variable; });
}

/// Whether a variable of the service is made of it: by `${...}`, or by a line of an env file, which is it or refers to it.
bool made_of(const compose::Project& project, const compose::Service& service, const compose::EnvVar& one, const Secret& secret) {
  if (secret.of_project && made_of(one.value.node, secret.name)) return true;
  if (!one.from_env_file || one.value.where().file == sources::kNoFile) return false;
  const bool named = !secret.file.empty() && std::ranges::any_of(service.env_files, [&](const compose::Text& file) { return sources::clean_path(file.value, project.folder) == secret.file; });
  if (named && one.name == secret.name && project.texts.at(one.value.where().file).path == secret.file) return true;
  const auto references = secrets::line_references(project, one);
  return (named || secret.of_project) && std::ranges::find(references, secret.name) != references.end();
}

bool uses(const compose::Project& project, const compose::Service& service, const Secret& secret) {
  for (const auto& one : service.environment)
    if (made_of(project, service, one, secret)) return true;
  if (!secret.of_project) return false;
  const std::string_view variable = secret.name;
  for (const auto* words : {&service.command, &service.entrypoint})
    for (const auto& word : *words)
      if (made_of(word.node, variable)) return true;
  if (made_of(service.command_node, variable)) return true;
  for (const auto& use : service.secrets)
    for (const auto& declared : project.secrets)
      if (declared.key == use.source && declared.environment == variable) return true;
  for (const auto& use : project.variables)
    if (use.name == variable && use.service == service.name) return true;
  return false;
}

/// The value of a variable of the service, or of its _FILE form's secret being made of `secret`.
bool password_of(const compose::Project& project, const compose::Service& service, std::string_view name, const Secret& secret) {
  if (const auto* direct = service.env(name); direct != nullptr && made_of(project, service, *direct, secret)) return true;
  const auto* file = service.env(std::string(name) + "_FILE");
  if (file == nullptr || !secret.of_project) return false;
  for (const auto& use : service.secrets) {
    const auto base = file->value.value.substr(file->value.value.rfind('/') + 1);
    const auto target = use.target.substr(use.target.rfind('/') + 1);
    if (base != target && base != use.source) continue;
    for (const auto& declared : project.secrets)
      if (declared.key == use.source && declared.environment == secret.name) return true;
  }
  return false;
}

std::string value_of(const compose::Service& service, std::initializer_list<std::string_view> names, std::string_view otherwise) {
  for (const auto name : names)
    if (const auto* found = service.env(name); found != nullptr && !found->value.value.empty()) return std::string(found->value.value);
  return std::string(otherwise);
}

std::string base_dn(const compose::Service& service) {
  if (auto base = value_of(service, {"LDAP_BASE_DN", "LDAP_ROOT", "LDAP_SUFFIX"}, ""); !base.empty()) return base;
  std::string out;
  auto domain = value_of(service, {"LDAP_DOMAIN"}, "example.org");
  for (std::size_t at = 0; at < domain.size();) {
    const auto end = std::min(domain.find('.', at), domain.size());
    out += (out.empty() ? "dc=" : ",dc=") + domain.substr(at, end - at);
    at = end + 1;
  }
  return out;
}

/// The image, or what `x-datamancy: {product: ...}` says it is: a mirror, or an image of one's own.
std::string_view image_of(const compose::Service& service) {
  const auto* own = service.node != nullptr ? service.node->at({"x-datamancy", "product"}) : nullptr;
  return own != nullptr && !own->string().empty() ? own->string() : service.image.value;
}

std::optional<Target> account_of(const compose::Project& project, const compose::Service& service, const Secret& secret) {
  const std::string name(service.name);
  if (password_of(project, service, "POSTGRES_PASSWORD", secret)) return Target{Server::postgres, name, value_of(service, {"POSTGRES_USER"}, "postgres")};
  for (const std::string prefix : {"MARIADB_", "MYSQL_"}) {
    if (password_of(project, service, prefix + "ROOT_PASSWORD", secret)) return Target{Server::mariadb, name, "root"};
    if (password_of(project, service, prefix + "PASSWORD", secret)) return Target{Server::mariadb, name, value_of(service, {prefix + "USER"}, "")};
  }
  if (password_of(project, service, "LDAP_ADMIN_PASSWORD", secret))
    return Target{Server::ldap, name, value_of(service, {"LDAP_ADMIN_DN"}, "cn=admin," + base_dn(service))};
  const bool valkey = std::ranges::any_of(service.command, [](const compose::Text& word) { return word.value.find("requirepass") != std::string_view::npos; });
  const bool of_command = secret.of_project && (std::ranges::any_of(service.command, [&](const compose::Text& word) { return made_of(word.node, secret.name); }) || made_of(service.command_node, secret.name));
  if ((valkey && of_command) || password_of(project, service, "VALKEY_PASSWORD", secret) || password_of(project, service, "REDIS_PASSWORD", secret)) {
    const auto image = image_of(service);
    if (valkey || image.find("valkey") != std::string_view::npos || image.find("redis") != std::string_view::npos) return Target{Server::valkey, name, "default"};
  }
  return std::nullopt;
}

/// What the name of its image says.
std::optional<Server> kind_of_image(const compose::Service& service) {
  const auto image = image_of(service);
  const auto says = [&](std::string_view part) { return image.find(part) != std::string_view::npos; };
  if (says("postgres") || says("postgis") || says("timescale") || says("pgvector")) return Server::postgres;
  if (says("mariadb") || says("mysql")) return Server::mariadb;
  if (says("valkey") || says("redis")) return Server::valkey;
  if (says("openldap")) return Server::ldap;
  return std::nullopt;
}

std::optional<Server> kind_of(const compose::Service& service) {
  const auto has = [&](std::string_view begin) { return std::ranges::any_of(service.environment, [&](const compose::EnvVar& one) { return one.name.starts_with(begin); }); };
  if (has("POSTGRES_PASSWORD")) return Server::postgres;
  if (has("MARIADB_ROOT_PASSWORD") || has("MYSQL_ROOT_PASSWORD")) return Server::mariadb;
  if (const auto image = kind_of_image(service)) return image;
  if (has("LDAP_ADMIN_PASSWORD")) return Server::ldap;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Server server) {
  switch (server) {
    case Server::postgres: return "PostgreSQL";
    case Server::mariadb: return "MariaDB";
    case Server::valkey: return "Valkey";
    case Server::ldap: return "OpenLDAP";
  }
  return "";
}

std::string_view refusal_of(std::string_view variable) {
  for (const auto& refusal : kRefusals)
    if (variable.find(refusal.part) != std::string_view::npos) return refusal.why;
  return {};
}

Found find_target(const compose::Project& project, const Secret& secret, std::string_view server, std::string_view account) {
  Found out;
  out.refusal = refusal_of(secret.name);
  for (const auto& service : project.services) {
    if (!service.enabled) continue;
    if (uses(project, service, secret)) out.users.emplace_back(service.name);
    if (!server.empty()) {
      if (service.name != server) continue;
      if (const auto kind = kind_of(service)) out.target = Target{*kind, std::string(service.name), std::string(account)};
    } else if (auto target = account_of(project, service, secret)) {
      const bool sure = kind_of_image(service) == target->kind;
      if (!out.target || (sure && !out.certain)) out.target = std::move(target);
      out.certain = out.certain || sure;
    }
  }
  return out;
}

}  // namespace dm::rotate
