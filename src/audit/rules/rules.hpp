/// The catalogue. A new rule adds one line here and one file beside this one. Keep it in id order; a line without its
/// file fails to link, a file without its line fails the catalogue test.
#pragma once

#include "audit/rule.hpp"

// clang-format off
#define DM_AUDIT_RULES(X) \
  X(project_does_not_load) \
  X(profile_closure) \
  X(health_budget) \
  X(startup_coupling) \
  X(bind_source_missing) \
  X(entrypoint_not_executable) \
  X(env_file_missing) \
  X(variable_undefined) \
  X(required_variable_unguarded) \
  X(host_port_twice) \
  X(address_outside_subnet) \
  X(subnets_overlap) \
  X(near_miss_variable) \
  X(declared_unused) \
  X(mount_ignored_by_git) \
  X(image_variable_missing) \
  X(script_line_ends) \
  X(quotes_in_value) \
  X(secret_file_missing) \
  X(variable_twice) \
  X(project_name_missing) \
  X(mount_target_twice) \
  X(command_dropped) \
  X(database_user_foreign) \
  X(config_never_read) \
  X(awaited_without_check) \
  X(variable_not_read) \
  X(variable_in_dollar_quote) \
  X(database_never_made) \
  X(unreachable_dependency) \
  X(dns_name_collision) \
  X(unresolvable_host) \
  X(port_mismatch) \
  X(public_resolver) \
  X(alias_unused) \
  X(orphan_service) \
  X(engine_host_name) \
  X(pooler_password_hash) \
  X(mute_network) \
  X(localhost_is_itself) \
  X(silent_port) \
  X(flat_network) \
  X(vacuous_healthcheck) \
  X(healthcheck_tool_missing) \
  X(healthcheck_on_one_shot) \
  X(healthcheck_missing) \
  X(weak_healthcheck) \
  X(unhealthy_hidden) \
  X(healthcheck_role) \
  X(data_not_persisted) \
  X(wrong_data_path) \
  X(backup_coverage) \
  X(backup_beside_data) \
  X(nameless_volume) \
  X(kopia_unknown_flag) \
  X(backup_mirrors_deletion) \
  X(live_files_copied) \
  X(secret_on_command_line) \
  X(credential_in_url) \
  X(secret_breaks_url) \
  X(placeholder_secret) \
  X(credential_mismatch) \
  X(shared_master_secret) \
  X(secret_never_used) \
  X(literal_credential) \
  X(env_file_in_git) \
  X(datastore_without_password) \
  X(env_file_to_datastore) \
  X(secret_by_environment) \
  X(decrypt_onto_itself) \
  X(sealed_file_as_binary) \
  X(init_script_injection) \
  X(privileged) \
  X(no_new_privileges) \
  X(capabilities_not_dropped) \
  X(dangerous_capability) \
  X(strong_capability) \
  X(root_user) \
  X(confinement_off) \
  X(host_network) \
  X(host_pid) \
  X(host_ipc) \
  X(host_uts) \
  X(host_userns) \
  X(cgroup_parent) \
  X(docker_socket) \
  X(sensitive_host_path) \
  X(root_host_path) \
  X(raw_device) \
  X(mount_propagation) \
  X(socket_proxy_scope) \
  X(manager_behind_read_only_proxy) \
  X(tmpfs_weakened) \
  X(image_latest_tag) \
  X(version_skew) \
  X(install_at_start) \
  X(build_takes_image_name) \
  X(dockerfile_secret) \
  X(base_image_latest) \
  X(version_ended) \
  X(image_without_digest) \
  X(memory_limit_missing) \
  X(log_rotation_missing) \
  X(restart_policy) \
  X(cpu_limit_missing) \
  X(pids_limit_missing) \
  X(logging_off) \
  X(short_stop_grace) \
  X(signals_not_forwarded) \
  X(stats_column) \
  X(cache_without_limit) \
  X(datastore_port_public) \
  X(admin_port_public) \
  X(port_beside_proxy) \
  X(open_without_sign_in) \
  X(fastcgi_port_public) \
  X(caddy_module_missing) \
  X(caddy_wildcard_without_dns) \
  X(caddy_placeholder_unset) \
  X(self_signed_edge) \
  X(traefik_network_random) \
  X(development_mode)

namespace dm::audit::rules {
#define DM_DECLARE_RULE(name) extern const Rule name;
DM_AUDIT_RULES(DM_DECLARE_RULE)
#undef DM_DECLARE_RULE
}  // namespace dm::audit::rules
// clang-format on
