#include "facts/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

// One list of fields a type serves reading and writing. NLOHMANN_... _WITH_DEFAULT ignores unknown fields and keeps defaults.
namespace nlohmann {
template <class T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    if (value) out = *value;
    else out = nullptr;
  }
  static void from_json(const json& in, std::optional<T>& value) {
    if (in.is_null()) value.reset();
    else value = in.get<T>();
  }
};
}  // namespace nlohmann

namespace dm::facts {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Engine, place, id, product, version, api, root_dir, storage_driver, log_driver, cgroup_driver, default_runtime, cgroup_version,
                                                rootless, userns_remap, live_restore, experimental, swarm, swap_limit, ip_forward, bridge_iptables, runtimes, security_options,
                                                authorization, insecure_registries, warnings, memory, cpus, containers_all, containers_stopped, images, unused_images,
                                                unused_image_bytes, default_bridge_icc, networks)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Daemon, seen, userland_proxy, iptables, debug, log_level, hosts, tls_verify, seccomp_profile, cgroup_parent, log_options,
                                                settings_changed)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(File, path, mode, owner, group, folder, socket)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Disk, path, mount, total, free, inodes, inodes_free)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Host, seen, memory, memory_available, swap, cpus, kernel, cgroup_version, disks, sysctls, gpus, docker_group, files,
                                                audit_watched, auditd)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(HealthRun, end, exit_code, output)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Port, inside, outside, address, protocol)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Container, id, name, service, number, oneoff, config_hash, image, image_id, state, exit_code, restart_count, oom_killed, oom_kills,
                                                created, started, finished, error, health, failing_streak, health_log, health_budget, memory_limit, nano_cpus, pids_limit,
                                                memory_reservation, cgroup_memory_limit, memory_use, memory_peak, log_driver, log_options, log_bytes, user, restart_policy,
                                                privileged, ports, networks, programs, root_only)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Image, name, id, user, healthcheck)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Facts, observed, project, engine, daemon, host, containers, images, config_hashes, unknown)

std::string to_json(const Facts& facts) {
  nlohmann::json out = facts;
  out["datamancy_facts"] = 1;
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<Facts> from_json(std::string_view text) {
  const auto value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded() || !value.is_object()) return fail(Errc::invalid_input, "this is not JSON of facts");
  const auto version = value.find("datamancy_facts");
  if (version == value.end() || !version->is_number_integer()) return fail(Errc::invalid_input, "this JSON is not facts: it has no 'datamancy_facts'");
  if (*version != 1) return fail(Errc::unsupported, "these facts were written by a later version of this program");
  try {
    return value.get<Facts>();
  } catch (const nlohmann::json::exception& wrong) {
    return fail(Errc::invalid_input, std::string("these facts cannot be read: ") + wrong.what());
  }
}

const Image* Facts::image(std::string_view name) const {
  const auto found = std::ranges::find(images, name, &Image::name);
  return found == images.end() ? nullptr : &*found;
}

std::vector<const Container*> Facts::of(std::string_view service) const {
  std::vector<const Container*> out;
  for (const auto& one : containers)
    if (one.service == service && !one.oneoff) out.push_back(&one);
  return out;
}

}  // namespace dm::facts
