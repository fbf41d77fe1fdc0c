#include "compose/go_json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::compose {
namespace {

void quote(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (c == '\b') out += "\\b";
    else if (c == '\f') out += "\\f";
    else if (byte < 0x20 || c == '<' || c == '>' || c == '&') out += fmt::format("\\u{:04x}", byte);
    else if (text.substr(i).starts_with("\xe2\x80\xa8")) out += "\\u2028", i += 2;
    else if (text.substr(i).starts_with("\xe2\x80\xa9")) out += "\\u2029", i += 2;
    else out += c;
  }
  out += '"';
}

/// Fields of compose-go 2.9.1's structs (types/*.go), in their order, by the key under which the struct stands.
struct Order {
  std::string_view holder, fields;
};
constexpr std::string_view kHook = "command user privileged working_dir environment";
constexpr std::string_view kUpdate = "parallelism delay failure_action monitor max_failure_ratio order";
constexpr std::string_view kResource = "cpus memory pids devices generic_resources";
constexpr std::string_view kResourceFile = "name file environment content external labels driver driver_opts template_driver";
constexpr std::string_view kFile = "source target uid gid mode";
constexpr Order kOrders[] = {
    {"service",
     "profiles annotations attach build develop blkio_config cap_add cap_drop cgroup_parent cgroup cpu_count cpu_percent cpu_period "
     "cpu_quota cpu_rt_period cpu_rt_runtime cpus cpuset cpu_shares command configs container_name credential_spec depends_on deploy "
     "device_cgroup_rules devices dns dns_opt dns_search dockerfile domainname entrypoint provider environment env_file expose extends "
     "external_links extra_hosts group_add gpus hostname healthcheck image init ipc isolation labels label_file links logging log_driver "
     "log_opt mem_limit mem_reservation memswap_limit mem_swappiness mac_address models net network_mode networks oom_kill_disable "
     "oom_score_adj pid pids_limit platform ports privileged pull_policy read_only restart runtime scale secrets security_opt shm_size "
     "stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volume_driver "
     "volumes volumes_from working_dir post_start pre_stop"},
    {"build",
     "context dockerfile dockerfile_inline entitlements args provenance sbom ssh labels cache_from cache_to no_cache additional_contexts "
     "pull extra_hosts isolation network target secrets shm_size tags ulimits platforms privileged"},
    {"dependency", "condition restart required"},
    {"/networks", "name driver driver_opts ipam external internal attachable labels enable_ipv4 enable_ipv6"},
    {"ipam", "driver config"},
    {"config", "subnet gateway ip_range aux_addresses"},
    {"/volumes", "name driver driver_opts external labels"},
    {"/secrets", kResourceFile},
    {"/configs", kResourceFile},
    {"blkio_config", "weight weight_device device_read_bps device_read_iops device_write_bps device_write_iops"},
    {"configs", kFile},
    {"secrets", kFile},
    {"credential_spec", "config file registry"},
    {"deploy", "mode replicas labels update_config rollback_config resources restart_policy placement endpoint_mode"},
    {"update_config", kUpdate},
    {"rollback_config", kUpdate},
    {"resources", "limits reservations"},
    {"limits", kResource},
    {"reservations", kResource},
    {"restart_policy", "condition delay max_attempts window"},
    {"placement", "constraints preferences max_replicas_per_node"},
    {"devices", "source target permissions capabilities driver count device_ids options"},  // of a service; of a reservation
    {"gpus", "capabilities driver count device_ids options"},
    {"provider", "type options"},
    {"env_file", "path required format"},
    {"healthcheck", "test timeout interval retries start_period start_interval disable"},
    {"logging", "driver options"},
    {"model", "endpoint_var model_var"},
    {"network", "aliases driver_opts gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address priority"},
    {"ports", "name mode host_ip target published protocol app_protocol"},
    {"ulimit", "single soft hard"},
    {"volumes", "type source target read_only consistency bind volume tmpfs image"},
    {"bind", "selinux propagation create_host_path recursive"},
    {"volume", "labels nocopy subpath"},
    {"tmpfs", "size mode"},
    {"watch", "path action target exec include ignore initial_sync"},
    {"exec", kHook},
    {"post_start", kHook},
    {"pre_stop", kHook},
};

}  // namespace

GoJsonWriter& GoJsonWriter::open(char begin, char end) {
  before();
  out_ += begin;
  ends_.push_back(end);
  first_ = true;
  return *this;
}

GoJsonWriter& GoJsonWriter::end() {
  out_ += ends_.back();
  ends_.pop_back();
  first_ = false;
  return *this;
}

GoJsonWriter& GoJsonWriter::key(std::string_view name) {
  before();
  quote(out_, name);
  out_ += ':';
  first_ = true;  // no comma before the value
  return *this;
}

GoJsonWriter& GoJsonWriter::value(std::string_view text) {
  before();
  quote(out_, text);
  return *this;
}

GoJsonWriter& GoJsonWriter::raw(std::string_view json) {
  before();
  out_ += json;
  return *this;
}

void GoJsonWriter::before() {
  if (!first_) out_ += ',';
  first_ = false;
}

std::size_t go_rank(std::string_view holder, std::string_view field) {
  const auto* order = std::ranges::find(kOrders, holder, &Order::holder);
  if (order == std::end(kOrders)) return 0;
  for (auto at = order->fields.find(field); at != std::string_view::npos; at = order->fields.find(field, at + 1)) {
    const auto after = at + field.size();
    if ((at == 0 || order->fields[at - 1] == ' ') && (after == order->fields.size() || order->fields[after] == ' ')) return at;
  }
  return order->fields.size();
}

}  // namespace dm::compose
