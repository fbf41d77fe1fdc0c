#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// What the image is for cannot be done without: a VPN makes interfaces, MySQL binds its memory, Vault locks its own.
bool by_trade(std::string_view image, std::string_view capability) {
  const auto repository = product::split_image(image).repository;
  const auto is_one = [&](std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(words, [&](std::string_view word) { return repository.find(word) != std::string_view::npos; });
  };
  if (capability == "NET_ADMIN")
    return is_one({"gluetun", "wireguard", "wg-easy", "wg-portal", "openvpn", "tailscale", "headscale", "netbird", "zerotier", "nordvpn", "nordlynx",
                   "fail2ban", "firezone"});
  // Their makers' own instructions ask for it, to keep secrets and heaps out of swap.
  if (capability == "IPC_LOCK") return is_one({"hashicorp/vault", "openbao", "elasticsearch", "opensearch", "clickhouse"}) || repository == "vault" || repository == "library/vault";
  return capability == "SYS_NICE" && is_one({"mysql", "mariadb", "percona", "linuxserver/plex", "clickhouse"});
}

}  // namespace

extern constinit const Rule strong_capability{
    .id = "DM0606",
    .name = "strong-capability",
    .severity = Severity::medium,
    .area = Area::security,
    .summary =
        "capability that reaches beyond the container",
    .rationale =
        "With these capabilities an intruder can rewrite the network, read any file, trace "
        "processes or disturb the whole machine.",
    .fix =
        "Remove it, or record with a suppression why the service needs it (a VPN needs NET_ADMIN).",
    .checks = "6 7 8 9 10",
    .bad = R"(services:
  app:
    image: example/app:1.0
    cap_add:
      - SYS_PTRACE  # <- DM0606
      - net_admin  # <- DM0606
      - cap_syslog  # <- DM0606
)",
    .good = R"(services:
  app:
    image: example/app:1.0
)",
    .look_alike = R"(services:
  app:
    image: example/app:1.0
    cap_add: [NET_BIND_SERVICE, CHOWN]
  vpn:
    image: qmcgaw/gluetun:v3.40
    cap_add: [NET_ADMIN]
  db:
    image: mysql:8.4
    cap_add: [SYS_NICE]
  safe:
    image: hashicorp/vault:1.18
    cap_add: [IPC_LOCK]
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          static constexpr std::string_view kStrong[] = {"NET_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_TIME", "PERFMON",
                                                         "SYS_BOOT",  "SYSLOG",     "BPF",             "SYS_NICE", "IPC_LOCK",   "LEASE"};
          const auto& services = input.project.services;
          for (ServiceId id = 0; id < services.size(); ++id) {
            for (const auto& capability : services[id].cap_add) {
              const auto name = capability_name(capability.value);
              if (by_trade(services[id].image.value, name)) continue;
              for (const auto strong : kStrong) {
                if (name == strong) {
                  report.add(capability.where(), id, fmt::format("service '{}' is granted {}", services[id].name, name));
                }
              }
            }
          }
        },
};

}  // namespace dm::audit::rules
