#include <nlohmann/json.hpp>

#include "engine/parse.hpp"

namespace dm::engine {
namespace {

using Json = nlohmann::json;

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

void put_limits(const Limits& limits, Json& host) {
  if (limits.memory != 0) host["Memory"] = limits.memory;
  if (limits.memory_swap != 0) host["MemorySwap"] = limits.memory_swap;
  if (limits.memory_reservation != 0) host["MemoryReservation"] = limits.memory_reservation;
  if (limits.nano_cpus != 0) host["NanoCpus"] = limits.nano_cpus;
  if (limits.cpu_shares != 0) host["CpuShares"] = limits.cpu_shares;
  if (limits.pids != 0) host["PidsLimit"] = limits.pids;
  if (limits.shm_size != 0) host["ShmSize"] = limits.shm_size;
}
Json restart(const RestartPolicy& policy) { return {{"Name", policy.name}, {"MaximumRetryCount", policy.maximum_retries}}; }

Json mount(const Mount& mount) {
  Json out{{"Type", mount.type}, {"Target", mount.target}};
  if (mount.type == "bind") out["Source"] = mount.source;
  if (mount.type == "volume") out["Source"] = mount.name;
  if (!mount.writable) out["ReadOnly"] = true;
  return out;
}

}  // namespace

std::string render_container(const NewContainer& wanted) {
  Json out{{"Image", wanted.image}, {"Labels", wanted.labels}};
  if (!wanted.command.empty()) out["Cmd"] = wanted.command;
  if (!wanted.entrypoint.empty()) out["Entrypoint"] = wanted.entrypoint;
  if (!wanted.env.empty()) out["Env"] = wanted.env;
  if (!wanted.user.empty()) out["User"] = wanted.user;
  if (!wanted.working_dir.empty()) out["WorkingDir"] = wanted.working_dir;
  if (!wanted.hostname.empty()) out["Hostname"] = wanted.hostname;
  if (wanted.open_stdin) out["OpenStdin"] = out["StdinOnce"] = true;
  if (const auto& check = wanted.healthcheck; !check.test.empty())
    out["Healthcheck"] = {{"Test", check.test}, {"Interval", check.interval}, {"Timeout", check.timeout}, {"StartPeriod", check.start_period}, {"Retries", check.retries}};
  Json host{{"RestartPolicy", restart(wanted.restart)}};
  put_limits(wanted.limits, host);
  for (const auto& entry : wanted.mounts) host["Mounts"].push_back(mount(entry));
  if (!wanted.cap_add.empty()) host["CapAdd"] = wanted.cap_add;
  if (!wanted.cap_drop.empty()) host["CapDrop"] = wanted.cap_drop;
  if (!wanted.security_opt.empty()) host["SecurityOpt"] = wanted.security_opt;
  if (wanted.read_only) host["ReadonlyRootfs"] = true;
  if (wanted.init) host["Init"] = true;
  if (wanted.auto_remove) host["AutoRemove"] = true;
  for (const auto& port : wanted.ports) {
    const auto key = std::to_string(port.inside) + "/" + port.protocol;
    out["ExposedPorts"][key] = Json::object();
    host["PortBindings"][key].push_back({{"HostIp", port.address}, {"HostPort", port.outside == 0 ? "" : std::to_string(port.outside)}});
  }
  if (!wanted.network.empty()) host["NetworkMode"] = wanted.network;
  if (!wanted.network.empty() && !wanted.aliases.empty()) out["NetworkingConfig"]["EndpointsConfig"][wanted.network]["Aliases"] = wanted.aliases;
  out["HostConfig"] = std::move(host);
  return dump(out);
}

std::string render_network(const NewNetwork& wanted) {
  Json out{{"Name", wanted.name}, {"CheckDuplicate", true}, {"Driver", wanted.driver}, {"Internal", wanted.internal}, {"Labels", wanted.labels}};
  if (!wanted.subnet.empty()) out["IPAM"] = {{"Driver", "default"}, {"Config", Json::array({{{"Subnet", wanted.subnet}}})}};
  return dump(out);
}

std::string render_volume(const std::string& name, const Labels& labels) { return dump({{"Name", name}, {"Labels", labels}}); }

std::string render_exec(const Exec& command, const std::vector<std::string>& argv, bool with_stdin) {
  Json out{{"AttachStdin", with_stdin}, {"AttachStdout", true}, {"AttachStderr", true}, {"Tty", false}, {"Cmd", argv}};
  if (!command.env.empty()) out["Env"] = command.env;
  if (!command.user.empty()) out["User"] = command.user;
  if (!command.working_dir.empty()) out["WorkingDir"] = command.working_dir;
  if (command.privileged) out["Privileged"] = true;
  return dump(out);
}

std::string render_update(const Limits& limits) {
  Json out = Json::object();
  put_limits(limits, out);
  return dump(out);
}

std::string render_restart(const RestartPolicy& policy) { return dump({{"RestartPolicy", restart(policy)}}); }

std::string render_connect(const std::string& container, const std::vector<std::string>& aliases) {
  return dump({{"Container", container}, {"EndpointConfig", {{"Aliases", aliases}}}});
}

std::string render_disconnect(const std::string& container, bool force) { return dump({{"Container", container}, {"Force", force}}); }

std::string render_filters(const std::vector<std::pair<std::string, std::vector<std::string>>>& filters) {
  Json out = Json::object();
  for (const auto& [key, values] : filters)
    if (!values.empty()) out[key] = values;
  return dump(out);
}

}  // namespace dm::engine
