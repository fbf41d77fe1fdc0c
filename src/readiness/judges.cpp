#include "readiness/judges.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "audit/caddyfiles.hpp"
#include "base/words.hpp"
#include "sensitive/sensitive.hpp"
#include "sources/git.hpp"
#include "wiring/secret_environment.hpp"

namespace dm::readiness {
namespace {

std::string names_of(const Stack& stack, const std::vector<ServiceId>& services, std::size_t most = 4) {
  std::string out;
  for (std::size_t i = 0; i < std::min(most, services.size()); ++i) out += fmt::format("{}{}", i == 0 ? "" : ", ", stack.wiring->service(services[i]).name);
  if (services.size() > most) out += fmt::format(" and {} more", services.size() - most);
  return out;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || stop != text.data() + text.size()) return {};
  return out;
}

/// What the server was started with: `-c max_connections=200`; the default of PostgreSQL is 100.
std::uint64_t max_connections(const compose::Service& server) {
  constexpr std::string_view kOption = "max_connections=";
  std::uint64_t out = 100;
  for (const auto& word : server.command)
    if (const auto at = word.value.find(kOption); at != std::string_view::npos)
      if (const auto found = number(word.value.substr(at + kOption.size()))) out = *found;
  return out;
}

/// The size of a client's pool, where a variable of a usual name says it.
std::optional<std::uint64_t> pool_size(const compose::Service& client) {
  static constexpr std::array kNames{"MAX_DB_CONNECTIONS", "POOL_SIZE", "POOL_MAX",       "POOL_MAX_SIZE", "MAX_POOL_SIZE",
                                     "MAX_CONNECTIONS",    "MAX_CONNS", "MAX_OPEN_CONNS", "MAX_OPEN_CONN", "DB_POOL"};
  for (const auto* ending : kNames)
    for (const auto& variable : client.environment)
      if (variable.name.ends_with(ending))
        if (const auto found = number(variable.value.value)) return found;
  return {};
}

std::uint64_t replicas(const compose::Service& service) {
  const auto* value = service.node == nullptr ? nullptr : service.node->at({"deploy", "replicas"});
  return value != nullptr && value->kind == compose::Kind::integer && value->integer > 0 ? static_cast<std::uint64_t>(value->integer) : 1;
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  const auto lower = lowered(text);
  return std::ranges::any_of(words, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

/// A variable of the service speaks of a sign-in, or the service is one.
bool signs_in_itself(const Stack& stack, ServiceId id) {
  const auto* product = stack.wiring->product_of[id];
  if (product != nullptr && product->kind == "identity") return true;
  return std::ranges::any_of(stack.wiring->service(id).environment, [](const auto& variable) {
    return has_any(variable.name, {"oidc", "oauth", "openid", "saml", "sso", "ldap"}) && variable.value.value != "false";
  });
}

/// Services that the edge routes to, and whether its configuration asks who is there first.
std::map<ServiceId, bool> routed(const Stack& stack) {
  std::map<ServiceId, bool> out;
  const auto& wiring = *stack.wiring;
  std::set<ServiceId> guarded;
  for (const auto& file : audit::caddyfiles(*stack.input))
    for (const auto& site : file.parsed.sites) {
      bool asks = audit::asks_who(site.directives);
      audit::each_directive(site.directives, [&](const formats::CaddyDirective& one) {
        if (one.name.text == "import" && !one.arguments.empty()) asks = asks || has_any(one.arguments.front().text, {"auth", "sso", "oidc", "protect"});
      });
      if (!asks) continue;
      audit::each_directive(site.directives, [&](const formats::CaddyDirective& one) {
        if (one.name.text != "reverse_proxy") return;
        for (const auto& upstream : one.arguments)
          if (const auto id = wiring.id_of(audit::upstream_host(upstream.text)); id != wiring::kNone) guarded.insert(id);
      });
    }
  for (const auto& reference : wiring.references) {
    if (reference.via != wiring::Reference::Via::proxy_route || reference.to == wiring::kNone) continue;
    const std::string_view text = reference.where ? std::string_view(stack.project->texts.at(reference.where.file).content) : std::string_view();
    out[reference.to] = out[reference.to] || guarded.contains(reference.to) || has_any(text, {"auth_request", "auth_basic"});
  }
  for (ServiceId id = 0; id < stack.project->services.size(); ++id) {
    bool rule = false, asks = false;
    for (const auto& [key, value] : stack.project->services[id].labels) {
      if (!key.starts_with("traefik.http.routers.")) continue;
      rule = rule || key.ends_with(".rule");
      asks = asks || (key.ends_with(".middlewares") && has_any(value.value, {"auth", "sso", "oidc"}));
    }
    if (rule) out[id] = out[id] || asks;
  }
  return out;
}

}  // namespace

Verdict judge_sealed(const Stack& stack) {
  if (!stack.dotenv) return {.unknown = "no env file is here to look at"};
  std::size_t plain = 0;
  std::string_view first;
  for (const auto& [name, definition] : stack.project->environment) {
    if (!definition.where || definition.value.empty() || !sensitive::secret_name(name)) continue;
    if (sensitive::looks_sealed(definition.value) || sensitive::looks_hashed(definition.value)) continue;
    if (plain++ == 0) first = name;
  }
  if (plain == 0) return {};
  return {.reason = fmt::format("{} {} readable in env files, the first is {}", plain, plain == 1 ? "secret stands" : "secrets stand", first),
          .mend = "`datamancy secrets init`, then `datamancy secrets migrate`: the env file is sealed, and `datamancy up` hands the values over in memory"};
}

Verdict judge_environment(const Stack& stack) {
  Verdict verdict;
  std::size_t names = 0;
  for (ServiceId id = 0; id < stack.project->services.size(); ++id) {
    const auto& service = stack.project->services[id];
    const auto found = wiring::secrets_in_environment(service, stack.wiring->product_of[id]);
    const auto only = static_cast<std::size_t>(std::ranges::count(found, nullptr, &wiring::SecretEnvironment::form));
    if (only > 0) verdict.services.push_back(id);
    names += only;
  }
  if (names > 0)
    verdict.reason = fmt::format("{} of {} can only go by environment as far as is known, first of '{}': the engine keeps {} in its own files", counted(names, "secret"),
                                 counted(verdict.services.size(), "service"), stack.project->services[verdict.services.front()].name, names == 1 ? "it" : "them");
  return verdict;
}

Verdict judge_bounded(const Stack& stack) {
  Verdict verdict;
  const auto& services = stack.project->services;
  for (ServiceId id = 0; id < services.size(); ++id) {
    const auto* product = stack.wiring->product_of[id];
    if (product != nullptr && !product->risk.empty() && !services[id].limits.memory) verdict.services.push_back(id);
  }
  if (!verdict.services.empty())
    verdict.reason = fmt::format("{} that {} known to exhaust a host {} no memory limit, first '{}'", counted(verdict.services.size(), "service"),
                                 verdict.services.size() == 1 ? "is" : "are", verdict.services.size() == 1 ? "has" : "have",
                                 services[verdict.services.front()].name);
  return verdict;
}

Verdict judge_tiers(const Stack& stack) {
  Verdict verdict;
  const auto& wiring = *stack.wiring;
  for (ServiceId id = 0; id < wiring.product_of.size(); ++id) {
    if (wiring.product_of[id] == nullptr || wiring.product_of[id]->kind != "proxy") continue;
    for (const auto& store : wiring.datastores) {
      if (store.ephemeral || store.service == id || !wiring.reachable(id, store.service)) continue;
      // One that the proxy's own routes name (CouchDB behind its HTTP interface) is meant to be reached through it.
      const auto routed = [&](const wiring::Reference& reference) { return reference.from == id && reference.firm && reference.to == store.service; };
      if (std::ranges::any_of(wiring.references, routed)) continue;
      if (verdict.reason.empty())
        verdict.reason = fmt::format("the proxy '{}' shares a network with the datastore '{}'", wiring.service(id).name, wiring.service(store.service).name);
      verdict.services.push_back(store.service);
    }
  }
  return verdict;
}

Verdict judge_rate_limit(const Stack& stack) {
  const auto& wiring = *stack.wiring;
  const auto counts = [](std::string_view text) {
    for (const std::string_view word : {"rate_limit", "limit_req", "ratelimit", "rateLimit", "crowdsec", "fail2ban"})
      if (text.find(word) != std::string_view::npos) return true;
    return false;
  };
  bool readable = false;
  for (const auto& config : wiring.config_files) {
    const auto* product = wiring.product_of[config.service];
    if (config.file == sources::kNoFile || product == nullptr || product->kind != "proxy") continue;
    readable = true;
    if (counts(stack.project->texts.at(config.file).content)) return {};
  }
  for (const auto& service : stack.project->services) {
    if (counts(service.image.value)) return {};
    for (const auto& [key, value] : service.labels) {
      if (counts(key) || counts(value.value)) return {};
      readable = readable || key.starts_with("traefik.") || key.starts_with("caddy");
    }
    for (const auto& word : service.command)
      if (counts(word.value)) return {};
  }
  if (!readable) return {.unknown = "the configuration of the edge is not among the files"};
  return {.reason = "nothing at the edge limits how often a login is tried",
          .mend = "count requests to the sign-in by address: nginx `limit_req`, Traefik the `rateLimit` middleware, Caddy an image with its rate_limit module; or watch the log with CrowdSec or Fail2ban"};
}

Verdict judge_central_logs(const Stack& stack) {
  static constexpr std::string_view kCollectors[] = {"loki", "promtail", "alloy", "vector", "fluent-bit", "fluentd", "graylog", "victorialogs", "victoria-logs", "logstash",
                                                     "filebeat", "otel", "opentelemetry-collector", "seq", "signoz", "datadog-agent"};
  for (const auto& service : stack.project->services) {
    const auto repository = product::split_image(service.image.value).repository;
    for (const auto name : kCollectors)
      if (repository.find(name) != std::string_view::npos) return {};
    const auto* driver = service.node == nullptr ? nullptr : service.node->at({"logging", "driver"});
    if (driver != nullptr)
      for (const std::string_view name : {"loki", "fluentd", "gelf", "syslog", "awslogs", "gcplogs", "splunk"})
        if (driver->string().find(name) != std::string_view::npos) return {};
  }
  return {.reason = "no service collects logs, and no logging driver sends them anywhere",
          .mend = "add a collector (Vector or Alloy to Loki), or a logging driver that sends them on (`syslog`, `gelf`, `fluentd`)"};
}

Verdict judge_git(const Stack& stack) {
  if (sources::git_root(stack.project->texts.files(), stack.project->folder).empty()) return {.unknown = "the project lies in no git work tree here"};
  return {};
}

Verdict judge_connections(const Stack& stack) {
  Verdict verdict;
  const auto& wiring = *stack.wiring;
  for (const auto& store : wiring.datastores) {
    if (store.kind != "postgres") continue;
    const auto& server = wiring.service(store.service);
    std::set<ServiceId> clients;
    for (const auto& reference : wiring.references)
      if (reference.to == store.service && reference.firm && reference.via != wiring::Reference::Via::healthcheck) clients.insert(reference.from);
    std::uint64_t sum = 0;
    std::string sizes;
    std::vector<ServiceId> silent;
    for (const auto id : clients) {
      const auto size = pool_size(wiring.service(id));
      if (!size) {
        silent.push_back(id);
        continue;
      }
      sum += *size * replicas(wiring.service(id));
      sizes += fmt::format("{}{} {}", sizes.empty() ? "" : ", ", wiring.service(id).name, *size * replicas(wiring.service(id)));
    }
    const auto allowed = max_connections(server);
    if (sum > allowed) {
      verdict.services.push_back(store.service);
      if (verdict.reason.empty())
        verdict.reason = fmt::format("the pools of its clients ({}) are more than the {} connections of '{}'", sizes, allowed, server.name);
    } else if (verdict.unknown.empty() && (clients.empty() || !silent.empty())) {
      verdict.unknown = clients.empty() ? fmt::format("no client of '{}' is named in the files", server.name)
                                        : fmt::format("'{}' allows {} connections; the files do not say how many these open: {}", server.name, allowed,
                                                      names_of(stack, silent));
    }
  }
  return verdict;
}

Verdict judge_scripts(const Stack& stack) {
  std::set<std::string_view> scripts;
  for (const auto& config : stack.wiring->config_files)
    if (config.format == "shell") scripts.insert(config.path);
  if (scripts.empty()) return {.unknown = "no script that a service mounts is among the files"};
  return {.unknown = fmt::format("only a shell reads them whole: `sh -n` for {}, first {}", counted(scripts.size(), "mounted script"),
                                 sources::relative_to(*scripts.begin(), stack.project->folder))};
}

Verdict judge_sign_in(const Stack& stack) {
  const auto routes = routed(stack);
  if (routes.empty()) return {.unknown = "no route of the edge to a service is among the files"};
  std::vector<ServiceId> silent;
  for (const auto& [id, asks] : routes)
    if (!asks && !signs_in_itself(stack, id)) silent.push_back(id);
  if (silent.empty()) return {};
  return {.unknown = fmt::format("{} of {} show in the files who may enter; open these without a session: {}", routes.size() - silent.size(),
                                 counted(routes.size(), "routed service"), names_of(stack, silent))};
}

Verdict judge_ldap(const Stack& stack) {
  bool hashes = false, policy = false, lockout = false;
  for (const auto& config : stack.wiring->config_files) {
    if (config.file == sources::kNoFile) continue;
    const auto& text = stack.project->texts.at(config.file).content;
    hashes = hashes || has_any(text, {"olcpasswordhash", "password-hash"});
    policy = policy || has_any(text, {"ppolicy", "pwdpolicy"});
    lockout = lockout || has_any(text, {"pwdlockout: true", "pwdmaxfailure"});
  }
  if (hashes && policy && lockout) return {};
  return {.unknown = fmt::format("no mounted file sets {}; the directory itself can tell",
                                 !hashes ? "the password hash" : !policy ? "a password policy" : "a lockout")};
}

Verdict judge_tiers_of_data(const Stack& stack) {
  std::size_t stores = 0;
  for (const auto& store : stack.wiring->datastores) stores += store.ephemeral ? 0 : 1;
  return {.unknown = fmt::format("the files do not say how much each of {} may lose; write a recovery point beside each and set the schedules by it",
                                 counted(stores, "datastore"))};
}

}  // namespace dm::readiness
