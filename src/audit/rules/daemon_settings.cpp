// Settings of the engine and what may be wrong with them. All of these have one shape: something in the facts says it, for the engine as a whole.
// A new one is one row here and nothing else; its examples are three files of facts.
#include "audit/rules/daemon_settings.hpp"

#include <deque>
#include <utility>

#include "audit/rules/live.hpp"

namespace dm::audit::rules {
namespace {

using facts::Facts;

/// A finding's message and evidence; no message = nothing to say.
struct Said {
  std::string message{}, evidence{};
};

struct Row {
  std::string_view id, name;
  Severity severity;
  Area area;
  std::string_view checks;
  unsigned minutes;
  std::string_view summary, rationale, fix;
  std::string_view bad, good, look_alike;  ///< facts as JSON
  Said (*says)(const Facts& facts);
};

Said when(bool wrong, const char* message) { return {wrong ? message : "", ""}; }

/// An address that nobody else reaches: "127.0.0.1:5000", "localhost".
bool is_this_machine(std::string_view address) { return address.starts_with("127.") || address.starts_with("localhost") || address.starts_with("[::1]"); }

bool filters_calls(const facts::Engine& engine) {
  return std::ranges::any_of(engine.security_options, [](const std::string& option) { return option.starts_with("name=seccomp") && option.find("unconfined") == std::string::npos; });
}

constexpr Row kRows[] = {
    {.id = "DM1102", .name = "live-restore-off", .severity = Severity::low, .area = Area::operations, .checks = "94", .minutes = 5,
     .summary = "a restart of the engine stops every container",
     .rationale = "Without `live-restore` an update of the engine takes the whole stack down, and it comes up all at once, in no order.",
     .fix = "Put `\"live-restore\": true` into /etc/docker/daemon.json and reload the engine (`systemctl reload docker`).",
     .bad = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "live_restore": false}})",
     .good = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "live_restore": true}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "swarm": true}})",
     .says = [](const Facts& f) { return when(f.engine.product == "Docker" && !f.engine.live_restore && !f.engine.swarm, "live-restore is off: restarting the engine stops all containers"); }},
    {.id = "DM1103", .name = "userland-proxy-on", .severity = Severity::info, .area = Area::security, .checks = "95", .minutes = 5,
     .summary = "published ports go through a proxy process of the engine",
     .rationale = "Each published port has a process of its own; through it services see the bridge's address instead of the client's for local connections.",
     .fix = "Put `\"userland-proxy\": false` into /etc/docker/daemon.json where the kernel does hairpin NAT (it nearly always does).",
     .bad = R"({"datamancy_facts": 1, "daemon": {"seen": true}})",
     .good = R"({"datamancy_facts": 1, "daemon": {"seen": true, "userland_proxy": false}})",
     .look_alike = R"({"datamancy_facts": 1, "daemon": {"seen": false}})",
     .says = [](const Facts& f) { return when(f.daemon.seen && f.daemon.userland_proxy.value_or(true), "the userland proxy is on"); }},
    {.id = "DM1104", .name = "root-is-root", .severity = Severity::info, .area = Area::security, .checks = "85 90", .minutes = 60,
     .summary = "root in a container is root of the machine",
     .rationale = "Neither rootless mode nor user namespaces: what breaks out of a container that runs as root is root outside.",
     .fix = "Consider `\"userns-remap\": \"default\"` for a new installation, or a rootless engine. Both change the owners of volumes: not on a running stack.",
     .bad = R"({"datamancy_facts": 1, "engine": {"product": "Docker"}})",
     .good = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "userns_remap": true}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "rootless": true}})",
     .says = [](const Facts& f) { return when(f.engine.product == "Docker" && !f.engine.rootless && !f.engine.userns_remap, "containers share the user ids of the machine"); }},
    {.id = "DM1105", .name = "bridge-icc", .severity = Severity::info, .area = Area::security, .checks = "37 38", .minutes = 5,
     .summary = "containers on the default bridge reach each other",
     .rationale = "The default bridge connects every container that names no network. Compose projects do not use it, `docker run` does.",
     .fix = "Put `\"icc\": false` into /etc/docker/daemon.json.",
     .bad = R"({"datamancy_facts": 1, "engine": {"default_bridge_icc": true}})",
     .good = R"({"datamancy_facts": 1, "engine": {"default_bridge_icc": false}})",
     .look_alike = R"({"datamancy_facts": 1})",
     .says = [](const Facts& f) { return when(f.engine.default_bridge_icc.value_or(false), "containers on the default bridge reach each other"); }},
    {.id = "DM1106", .name = "insecure-registry", .severity = Severity::medium, .area = Area::security, .checks = "87", .minutes = 30,
     .summary = "images may come from a registry without TLS",
     .rationale = "Who sits on the way can replace the image, and so run what they like on this machine.",
     .fix = "Give the registry a certificate and remove it from `insecure-registries`.",
     .bad = R"({"datamancy_facts": 1, "engine": {"insecure_registries": ["registry.lan:5000"]}})",
     .good = R"({"datamancy_facts": 1, "engine": {}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"insecure_registries": ["127.0.0.1:5000"]}})",
     .says = [](const Facts& f) -> Said {
          if (std::ranges::all_of(f.engine.insecure_registries, is_this_machine)) return {};
          return {"the engine trusts registries without TLS", fmt::format("{}", fmt::join(f.engine.insecure_registries, ", "))};
        }},
    {.id = "DM1107", .name = "iptables-off", .severity = Severity::high, .area = Area::security, .checks = "86", .minutes = 30,
     .summary = "the engine does not manage the firewall",
     .rationale = "With `iptables: false` networks are not separated: `internal` and network membership keep nobody out, and published ports depend on rules by hand.",
     .fix = "Remove `\"iptables\": false`; if another firewall must rule, put its rules into the DOCKER-USER chain.",
     .bad = R"({"datamancy_facts": 1, "daemon": {"seen": true, "iptables": false}})",
     .good = R"({"datamancy_facts": 1, "daemon": {"seen": true, "iptables": true}})",
     .look_alike = R"({"datamancy_facts": 1, "daemon": {"seen": true}})",
     .says = [](const Facts& f) { return when(!f.daemon.iptables.value_or(true), "the engine runs with iptables off"); }},
    {.id = "DM1108", .name = "daemon-seccomp-off", .severity = Severity::high, .area = Area::security, .checks = "96", .minutes = 10,
     .summary = "the engine runs containers without a system call filter",
     .rationale = "Seccomp keeps containers from some 40 system calls that nobody needs and exploits love.",
     .fix = "Remove `seccomp-profile: unconfined` from daemon.json; use a kernel with seccomp.",
     .bad = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "security_options": ["name=apparmor"]}})",
     .good = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "security_options": ["name=seccomp,profile=builtin"]}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"product": "Docker", "security_options": ["name=seccomp,profile=default"]}})",
     .says = [](const Facts& f) { return when(f.engine.product == "Docker" && !filters_calls(f.engine), "the engine filters no system calls"); }},
    {.id = "DM1109", .name = "engine-experimental", .severity = Severity::info, .area = Area::operations, .checks = "97", .minutes = 5,
     .summary = "the engine has experimental features on",
     .rationale = "Experimental features change between versions without notice.",
     .fix = "Remove `\"experimental\": true` from /etc/docker/daemon.json.",
     .bad = R"({"datamancy_facts": 1, "engine": {"experimental": true}})",
     .good = R"({"datamancy_facts": 1, "engine": {}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"product": "Podman"}})",
     .says = [](const Facts& f) { return when(f.engine.experimental, "the engine runs with experimental features"); }},
    {.id = "DM1110", .name = "daemon-debug", .severity = Severity::low, .area = Area::operations, .checks = "70", .minutes = 5,
     .summary = "the engine logs for debugging",
     .rationale = "It writes each request, with details that do not belong into logs, and much of it.",
     .fix = "Remove `\"debug\": true` and `\"log-level\": \"debug\"` from /etc/docker/daemon.json.",
     .bad = R"({"datamancy_facts": 1, "daemon": {"seen": true, "debug": true}})",
     .good = R"({"datamancy_facts": 1, "daemon": {"seen": true, "log_level": "info"}})",
     .look_alike = R"({"datamancy_facts": 1, "daemon": {"seen": true, "debug": false, "log_level": "warn"}})",
     .says = [](const Facts& f) { return when(f.daemon.debug.value_or(false) || f.daemon.log_level == "debug", "the engine runs in debug mode"); }},
    {.id = "DM1116", .name = "swarm-on", .severity = Severity::info, .area = Area::security, .checks = "99", .minutes = 10,
     .summary = "the engine is part of a swarm",
     .rationale = "Swarm opens ports 2377, 7946 and 4789 to its peers. A stack of Compose needs none of it.",
     .fix = "If no stack uses it: `docker swarm leave --force`.",
     .bad = R"({"datamancy_facts": 1, "engine": {"swarm": true}})",
     .good = R"({"datamancy_facts": 1, "engine": {}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"live_restore": false}})",
     .says = [](const Facts& f) { return when(f.engine.swarm, "the engine is in swarm mode"); }},
    {.id = "DM1118", .name = "storage-driver-obsolete", .severity = Severity::medium, .area = Area::operations, .checks = "88 92", .minutes = 120,
     .summary = "a storage driver that engines no longer support",
     .rationale = "aufs, devicemapper and overlay (the first) are removed from current engines: the next update starts without any image or container.",
     .fix = "Move to overlay2: back up the volumes, change `storage-driver`, pull the images again.",
     .bad = R"({"datamancy_facts": 1, "engine": {"storage_driver": "devicemapper"}})",
     .good = R"({"datamancy_facts": 1, "engine": {"storage_driver": "overlay2"}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"product": "Podman", "storage_driver": "overlay"}})",
     .says = [](const Facts& f) -> Said {
          const auto& driver = f.engine.storage_driver;
          const bool first_overlay = driver == "overlay" && f.engine.product != "Podman";  // which calls the second one so
          return {driver == "aufs" || driver == "devicemapper" || first_overlay ? "storage driver " + driver : "", ""};
        }},
    {.id = "DM1119", .name = "swap-limit-missing", .severity = Severity::low, .area = Area::operations, .checks = "54 O36", .minutes = 15,
     .summary = "the kernel does not limit swap by container",
     .rationale = "A container at its memory limit goes on into swap and slows the whole machine instead of being stopped.",
     .fix = "Debian and Ubuntu with cgroup v1: `cgroup_enable=memory swapaccount=1` on the kernel's command line. cgroup v2 has it.",
     .bad = R"({"datamancy_facts": 1, "engine": {"swap_limit": false}, "host": {"seen": true, "swap": 1073741824}})",
     .good = R"({"datamancy_facts": 1, "engine": {"swap_limit": true}, "host": {"seen": true, "swap": 1073741824}})",
     .look_alike = R"({"datamancy_facts": 1, "engine": {"swap_limit": false}, "host": {"seen": true, "swap": 0}})",
     .says = [](const Facts& f) { return when(!f.engine.swap_limit && (!f.host.seen || f.host.swap > 0), "the engine cannot limit swap"); }},
    {.id = "DM1121", .name = "daemon-cgroup-parent", .severity = Severity::info, .area = Area::operations, .checks = "91", .minutes = 10,
     .summary = "the engine puts its containers into a control group of its own choice",
     .rationale = "With `cgroup-parent` all containers share whatever limits that group has, which no file of the project shows: they may be stopped for memory below their own limits.",
     .fix = "Remove `cgroup-parent` from /etc/docker/daemon.json, or write down which limits that group has and why.",
     .bad = R"({"datamancy_facts": 1, "daemon": {"seen": true, "cgroup_parent": "/batch"}})",
     .good = R"({"datamancy_facts": 1, "daemon": {"seen": true}})",
     .look_alike = R"({"datamancy_facts": 1, "daemon": {"seen": true, "cgroup_parent": "system.slice"}})",
     .says = [](const Facts& f) -> Said {
          const auto& parent = f.daemon.cgroup_parent;
          const bool usual = parent.empty() || parent == "docker" || parent == "/docker" || parent == "system.slice";  // what the two drivers do anyway
          return {usual ? "" : "containers run below the control group " + parent, ""};
        }},
    {.id = "DM1122", .name = "api-unlimited", .severity = Severity::low, .area = Area::security, .checks = "93", .minutes = 60,
     .summary = "who reaches the engine over the network may do everything with it",
     .rationale = "The engine listens on the network, and no authorization plugin limits what a caller may ask: each certificate that it accepts is root on this machine.",
     .fix = "Reach the engine over ssh and listen on the socket only; where others must ask it over the network, use an authorization plugin that names what each may do.",
     .bad = R"({"datamancy_facts": 1, "daemon": {"seen": true, "hosts": ["unix:///var/run/docker.sock", "tcp://10.0.0.5:2376"], "tls_verify": true}})",
     .good = R"({"datamancy_facts": 1, "daemon": {"seen": true, "hosts": ["tcp://10.0.0.5:2376"], "tls_verify": true}, "engine": {"authorization": ["opa"]}})",
     .look_alike = R"({"datamancy_facts": 1, "daemon": {"seen": true, "hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2376"], "tls_verify": true}})",
     .says = [](const Facts& f) -> Said {
          const auto open = std::ranges::find_if(f.daemon.hosts, [](std::string_view host) { return host.starts_with("tcp://") && !is_this_machine(host.substr(6)); });
          if (open == f.daemon.hosts.end() || !f.engine.authorization.empty()) return {};
          return {"the engine listens on " + *open + ", and no plugin limits its callers", ""};
        }},
};

template <std::size_t row>
void look(const LiveInput& input, Report& report) {
  with_facts(input, [&](const Facts& facts) {
    if (auto said = kRows[row].says(facts); !said.message.empty()) report.add(project_place(input), wiring::kNone, std::move(said.message), std::move(said.evidence));
  });
}

/// The example of a row: its facts beside a small project; the bad one has the marker.
std::string example(std::string_view marker, std::string_view facts) {
  return fmt::format("name: shop{}\nservices:\n  app:\n    image: example/app:1.0\n-- facts.json\n{}\n", marker, facts);
}

template <std::size_t... row>
std::vector<LiveRule> made(std::index_sequence<row...>) {
  static std::deque<std::string> texts;  // rules point into them
  const auto kept = [](std::string text) -> std::string_view { return texts.emplace_back(std::move(text)); };
  const auto rule = [&](const Row& one) -> Rule {
    return {.id = one.id, .name = one.name, .severity = one.severity, .area = one.area, .summary = one.summary, .rationale = one.rationale, .fix = one.fix, .checks = one.checks,
            .bad = kept(example(fmt::format("  # <- {}", one.id), one.bad)), .good = kept(example("", one.good)), .look_alike = kept(example("", one.look_alike)),
            .minutes = one.minutes, .check = files_say_nothing};
  };
  return {LiveRule{.rule = rule(kRows[row]), .look = look<row>}...};
}

}  // namespace

std::span<const LiveRule> daemon_settings() {
  static const auto rules = made(std::make_index_sequence<std::size(kRows)>());
  return rules;
}

}  // namespace dm::audit::rules
