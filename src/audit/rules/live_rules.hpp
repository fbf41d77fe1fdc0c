/// The catalogue of rules over facts that have a file of their own; as rules.hpp. Those about settings of the engine are rows of daemon_settings.cpp.
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
  X(image_check_missing) \
  X(all_root) \
  X(ssh_inside) \
  X(daemon_open_to_network) \
  X(engine_disk_shared) \
  X(docker_group) \
  X(auditd_blind) \
  X(engine_files_open) \
  X(engine_old) \
  X(image_sprawl) \
  X(open_ports)

namespace dm::audit::rules {
#define DM_DECLARE_RULE(name) extern const LiveRule name;
DM_LIVE_RULES(DM_DECLARE_RULE)
#undef DM_DECLARE_RULE
}  // namespace dm::audit::rules
// clang-format on
