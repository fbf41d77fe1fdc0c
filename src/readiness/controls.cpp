#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "readiness/control.hpp"
#include "sensitive/sensitive.hpp"
#include "sources/git.hpp"

namespace dm::readiness {
namespace {

bool always(const Stack& stack) { return !stack.project->services.empty(); }
bool never(const Stack&) { return false; }
bool running(const Stack& stack) { return stack.long_running > 0; }
bool data(const Stack& stack) { return stack.datastore || stack.volumes; }
bool datastore(const Stack& stack) { return stack.datastore; }
bool sql(const Stack& stack) { return stack.sql; }
bool postgres(const Stack& stack) { return stack.postgres; }
bool cache(const Stack& stack) { return stack.cache; }
bool ldap(const Stack& stack) { return stack.ldap; }
bool proxy(const Stack& stack) { return stack.proxy; }
bool sign_in(const Stack& stack) { return stack.proxy && stack.identity; }
bool aliases(const Stack& stack) { return stack.proxy && stack.aliases; }
bool gpu(const Stack& stack) { return stack.gpu; }
bool init_scripts(const Stack& stack) { return stack.init_scripts; }
bool secrets(const Stack& stack) { return stack.secrets || stack.dotenv; }
bool risky(const Stack& stack) { return stack.risky; }
bool edge_and_data(const Stack& stack) { return stack.proxy && stack.datastore; }
bool templates(const Stack& stack) { return stack.templates; }
bool several(const Stack& stack) { return stack.project->services.size() > 1; }

std::string count(std::string_view noun, std::size_t number) { return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s"); }

/// O12, O37: secrets that stand readable in an env file.
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
  return {.reason = fmt::format("{} {} readable in env files, the first is {}", plain, plain == 1 ? "secret stands" : "secrets stand", first)};
}

/// O41 - O43, O65: what is known to exhaust a host has a memory limit.
Verdict judge_bounded(const Stack& stack) {
  Verdict verdict;
  const auto& services = stack.project->services;
  for (ServiceId id = 0; id < services.size(); ++id) {
    const auto* product = stack.wiring->product_of[id];
    if (product != nullptr && !product->risk.empty() && !services[id].limits.memory) verdict.services.push_back(id);
  }
  if (!verdict.services.empty())
    verdict.reason = fmt::format("{} that {} known to exhaust a host {} no memory limit, first '{}'", count("service", verdict.services.size()),
                                 verdict.services.size() == 1 ? "is" : "are", verdict.services.size() == 1 ? "has" : "have",
                                 services[verdict.services.front()].name);
  return verdict;
}

/// O4: a break-in at the edge must not stand before the database at once. Clients of the datastore are no concern here.
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

/// O17: something at the edge counts requests.
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
  return {.reason = "nothing at the edge limits how often a login is tried"};
}

/// O75: logs leave the containers for a place where they can be searched after a container is gone.
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
  return {.reason = "no service collects logs, and no logging driver sends them anywhere"};
}

/// O3: without a work tree there is nothing to say about what git would take.
Verdict judge_git(const Stack& stack) {
  if (sources::git_root(stack.project->texts.files(), stack.project->folder).empty()) return {.unknown = "the project lies in no git work tree here"};
  return {};
}

using enum Area;
using enum Evidence;

constexpr std::string_view kStats = "docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.MemPerc}}'";
constexpr std::string_view kUnhealthy = "docker ps -a --filter health=unhealthy; docker ps -a --filter status=restarting";
constexpr std::string_view kLogs = "docker inspect -f '{{.Name}} {{json .HostConfig.LogConfig}}' $(docker compose ps -q)";
constexpr std::string_view kMemory = "docker inspect -f '{{.Name}} {{.HostConfig.Memory}}' $(docker compose ps -q)";

/// One line a control, by area. Weights: 10 no service without it, 7 an outage waits, 4 trouble, 1 polish.
constexpr std::array kControls{
    // Does it start, and do its parts find each other?
    Control{"R01", "O31", architecture, 10, "every profile and combination loads", files, "DM0100 DM0101 DM0109 DM0110 DM0111", always, ""},
    Control{"R02", "", architecture, 9, "what is mounted and referred to exists", applied, "DM0104 DM0106 DM0107 DM0112 DM0114 DM0130 DM0910 DM0912", always, ""},
    Control{"R03", "", architecture, 8, "services name each other rightly and reach each other", applied, "DM0201 DM0203 DM0204 DM0503 DM0506", several, ""},
    Control{"R04", "O31 O77", architecture, 8, "everything starts and becomes healthy", engine, "", running, "docker compose up -d; docker compose ps -a", nullptr, 0,
            "datamancy up; datamancy check"},
    Control{"R05", "O16", architecture, 2, "the edge has no dead network aliases", applied, "DM0207", aliases, ""},
    Control{"R06", "O18", architecture, 3, "connections to PostgreSQL are pooled within its maximum", unchecked, "DM0210", postgres, ""},
    Control{"R07", "O20", architecture, 2, "rendered configuration has no placeholder left and no drift", unchecked, "", templates, ""},
    Control{"R08", "O7", architecture, 1, "scripts of the project parse", unchecked, "", init_scripts, ""},
    Control{"R09", "O32", architecture, 6, "the GPU is visible inside the engine", engine, "", gpu,
            "docker run --rm --gpus all ubuntu nvidia-smi", nullptr, 0,
            "datamancy check"},
    Control{"R10", "O80", architecture, 1, "remote machines are reached by a dedicated user", unchecked, "", never, ""},
    Control{"R19", "", architecture, 3, "nothing else is wrong with the architecture", files, "*", never, ""},
    // Who can do what?
    Control{"R20", "O8", security, 8, "no container is privileged or equals it", applied,
            "DM0601 DM0605 DM0606 DM0614 DM0617 DM0618 DM0619 DM0620 DM0621 DM0622 DM0624 DM0625 DM0626 DM0627 DM0628 DM0629", always, ""},
    Control{"R21", "O8", security, 2, "services run with few rights and not as root", applied, "DM0602 DM0604 DM0611 DM0631", always, ""},
    Control{"R22", "O4", security, 7, "no datastore is open to other machines or without a password", applied, "DM0901 DM0512", datastore, ""},
    Control{"R33", "O4", security, 4, "the edge shares no network with a datastore", applied, "DM0220", edge_and_data, "", judge_tiers},
    Control{"R23", "O12 O37", security, 7, "no secret is written into compose files or command lines", files, "DM0501 DM0502 DM0505 DM0510 DM0705", always, ""},
    Control{"R24", "O12 O37", security, 6, "env files hold no readable secret", files, "DM0520 DM0521", secrets, "", judge_sealed, 45},
    Control{"R25", "O74", security, 4, "a missing secret stops the start instead of being empty", applied, "DM0108", secrets, ""},
    Control{"R26", "O3", security, 5, "env files are ignored by git and not committed", files, "DM0511", secrets,
            "git check-ignore -v .env; git log --all --oneline -- .env", judge_git},
    Control{"R27", "O2", security, 5, "database init scripts take any password and inject nothing", files, "DM0130 DM0530", init_scripts, ""},
    Control{"R28", "O17", security, 4, "login attempts are limited at the edge", files, "", sign_in, "", judge_rate_limit, 45},
    Control{"R29", "O19", security, 5, "the edge has certificates that renew", engine, "DM0911 DM0913", proxy,
            "openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -enddate"},
    Control{"R30", "O39", security, 5, "a login through the edge works", drill, "", sign_in, "", nullptr, 0,
            "datamancy check --login-url URL --login-user NAME --login-password-file FILE"},
    Control{"R31", "O78", security, 5, "every routed interface is behind a sign-in", unchecked, "DM0903 DM0904", sign_in, ""},
    Control{"R32", "O79", security, 4, "LDAP has strong hashes, a password policy and a lockout", unchecked, "", ldap, ""},
    Control{"R39", "", security, 3, "nothing else is wrong with security", files, "*", never, ""},
    // Does it stay up, and does somebody notice?
    Control{"R40", "O1 O35", operations, 7, "healthchecks exist, can run and test the service", files, "DM0301 DM0302 DM0304 DM0311", running, ""},
    Control{"R41", "O1", operations, 2, "healthchecks are well timed, one-shots have none", files, "DM0303 DM0305", running, ""},
    Control{"R42", "O35 O53", operations, 6, "no container is unhealthy or restarting", engine, "DM1001 DM1006 DM1007 DM1009 DM1010", running, kUnhealthy, nullptr, 0,
            "datamancy report --live"},
    Control{"R43", "O5", operations, 4, "restart policies fit the kind of service", files, "DM0803", always, ""},
    Control{"R44", "O10 O36", operations, 7, "memory limits are set", applied, "DM0801", running, ""},
    Control{"R45", "O41 O42 O43 O65", operations, 5, "what is known to exhaust a host is bounded", applied, "", risky, "", judge_bounded},
    Control{"R46", "O10", operations, 2, "processors and processes are bounded", applied, "DM0805 DM0806", running, ""},
    Control{"R47", "O36", operations, 4, "memory limits are in force", engine, "DM1004", running, kMemory, nullptr, 0,
            "datamancy report --live"},
    Control{"R48", "O79", operations, 3, "caches have a memory limit of their own", applied, "DM0811", cache, ""},
    Control{"R49", "O11 O38", operations, 5, "logs rotate and are kept", applied, "DM0802 DM0807", running, ""},
    Control{"R50", "O38", operations, 3, "log rotation is in force", engine, "DM1005", running, kLogs, nullptr, 0,
            "datamancy report --live"},
    Control{"R51", "", operations, 4, "images are pinned", applied, "DM0701 DM0702 DM0703 DM0704 DM0706 DM0710", always, ""},
    Control{"R52", "O33", operations, 5, "disks have 50 GB free where volumes and engine live", engine, "DM1013", always,
            "df -h \"$(docker info -f '{{.DockerRootDir}}')\"", nullptr, 0,
            "datamancy report --live"},
    Control{"R53", "O40 O56 O76", operations, 3, "a daemon watches, diagnoses and repairs within bounds", engine, "", running, "", nullptr, 0,
            "datamancy check"},
    Control{"R54", "O51 O52", operations, 3, "memory against limits is watched", engine, "DM0810", running, kStats},
    Control{"R55", "O54", operations, 3, "database connections against their maximum are watched", engine, "", sql, ""},
    Control{"R56", "O53 O55", operations, 4, "disk, health, certificates and backup age raise alerts", engine, "DM0310", running, ""},
    Control{"R57", "O75", operations, 2, "logs are kept centrally", files, "", several, "", judge_central_logs, 120},
    Control{"R58", "O67", operations, 4, "a seven-day burn-in passed", drill, "", running, ""},
    Control{"R59", "O77", operations, 3, "acceptance: failure, partition and load were exercised", drill, "", running, ""},
    Control{"R69", "", operations, 2, "nothing else is wrong with operations", files, "*", never, ""},
    // Does the data come back?
    Control{"R70", "O34", recovery, 10, "data lies on volumes, where the product writes it", files, "DM0401 DM0402", datastore, ""},
    Control{"R78", "", recovery, 3, "datastores are given time to shut down", applied, "DM0808", datastore, ""},
    Control{"R71", "O6 O34", recovery, 9, "every datastore is covered by a backup", files, "DM0403", datastore, ""},
    Control{"R72", "O13", recovery, 6, "a backup ran and was verified", drill, "", data, "", nullptr, 0,
            "datamancy backup run; datamancy backup verify"},
    Control{"R73", "O13 O34", recovery, 8, "a restore was drilled", drill, "", data, "", nullptr, 0,
            "datamancy drill restore --all"},
    Control{"R74", "O14 O15", recovery, 6, "a copy lies off-site", drill, "DM0410 DM0411", data, "", nullptr, 0,
            "datamancy backup replicate"},
    Control{"R75", "O73", recovery, 4, "three copies, one that this host cannot delete", drill, "", data, ""},
    Control{"R76", "O71", recovery, 3, "recovery point (24 h) and recovery times are measured", drill, "", data, "", nullptr, 0,
            "datamancy drill restore --all"},
    Control{"R77", "O72", recovery, 2, "data tiers decide depth and frequency", unchecked, "", data, ""},
    Control{"R89", "", recovery, 2, "nothing else endangers recovery", files, "*", never, ""},
};

}  // namespace

std::span<const Control> controls() { return kControls; }

}  // namespace dm::readiness
