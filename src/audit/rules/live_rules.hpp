/// The catalogue of rules over facts; as rules.hpp, in id order after all of its rules.
#pragma once

#include "audit/live.hpp"

// clang-format off
#define DM_LIVE_RULES(X) \
  X(container_missing) \
  X(container_outdated) \
  X(image_not_current) \
  X(limit_not_in_force) \
  X(log_rotation_not_in_force) \
  X(healthcheck_cannot_run) \
  X(restart_loop) \
  X(killed_for_memory) \
  X(unhealthy) \
  X(container_stopped) \
  X(published_ports_differ) \
  X(memory_near_limit) \
  X(disk_low) \
  X(daemon_open_to_network) \
  X(live_restore_off) \
  X(userland_proxy_on) \
  X(root_is_root) \
  X(bridge_icc) \
  X(insecure_registry) \
  X(iptables_off) \
  X(daemon_seccomp_off) \
  X(engine_experimental) \
  X(daemon_debug) \
  X(engine_disk_shared) \
  X(docker_group) \
  X(auditd_blind) \
  X(engine_files_open) \
  X(engine_old) \
  X(swarm_on) \
  X(image_sprawl) \
  X(storage_driver_obsolete) \
  X(swap_limit_missing) \
  X(open_ports)

namespace dm::audit::rules {
#define DM_DECLARE_RULE(name) extern const LiveRule name;
DM_LIVE_RULES(DM_DECLARE_RULE)
#undef DM_DECLARE_RULE
}  // namespace dm::audit::rules
// clang-format on
