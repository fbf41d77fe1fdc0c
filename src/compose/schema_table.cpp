#include "compose/schema_table.hpp"

namespace dm::compose {
namespace {

constexpr Spec kString{"s"};
constexpr Spec kScalar{"snb0"};
constexpr Spec kText{"sn"};
constexpr Spec kTextOrNull{"sn0"};
constexpr Shape kScalars{.any = &kScalar, .extensions = false};
constexpr Shape kStrings{.any = &kString, .extensions = false};
constexpr Shape kOptions{.any = &kText, .extensions = false};

constexpr Spec kDict{.kinds = "lm", .map = &kScalars, .item = &kString};  // made unique by name before
constexpr Spec kDistinctDict{.kinds = "lm", .map = &kScalars, .item = &kString, .distinct = true};
constexpr Spec kList{.kinds = "l", .item = &kString};  // some of them made unique before
constexpr Spec kDistinct{.kinds = "l", .item = &kString, .distinct = true};
constexpr Spec kStringOrList{.kinds = "sl", .item = &kString};
constexpr Spec kCommand{.kinds = "sl0", .item = &kString};
constexpr Spec kDriverOptions{.kinds = "m", .map = &kOptions};

constexpr Spec kAddresses{.kinds = "sl", .item = &kString};
constexpr Shape kHosts{.any = &kAddresses, .extensions = false};
constexpr Spec kExtraHosts{.kinds = "lm", .map = &kHosts, .item = &kString, .distinct = true};

constexpr Field kLimitFields[] = {{"soft", {"is"}}, {"hard", {"is"}}};
constexpr Shape kLimitPair{.fields = kLimitFields, .required = "soft|hard"};
constexpr Spec kLimit{.kinds = "ism", .map = &kLimitPair};
constexpr Shape kLimitNames{.any = &kLimit, .extensions = false};
constexpr Spec kUlimits{.kinds = "m", .map = &kLimitNames};

constexpr Field kFileUseFields[] = {{"source", {"s"}}, {"target", {"s"}}, {"uid", {"s"}}, {"gid", {"s"}}, {"mode", {"ns"}}};
constexpr Shape kFileUse{.fields = kFileUseFields};
constexpr Spec kFileUseItem{.kinds = "sm", .map = &kFileUse};
constexpr Spec kFileUses{.kinds = "l", .item = &kFileUseItem};

constexpr Field kBuildFields[] = {
    {"context", {"s"}}, {"dockerfile", {"s"}}, {"dockerfile_inline", {"s"}}, {"entitlements", kList}, {"args", kDict},
    {"ssh", kDistinctDict}, {"labels", kDict}, {"cache_from", kList}, {"cache_to", kList}, {"no_cache", {"bs"}},
    {"no_cache_filter", kStringOrList}, {"additional_contexts", kDict}, {"network", {"s"}}, {"provenance", {"sb"}}, {"sbom", {"sb"}},
    {"pull", {"bs"}}, {"target", {"s"}}, {"shm_size", {"is"}}, {"extra_hosts", kExtraHosts}, {"isolation", {"s"}},
    {"privileged", {"bs"}}, {"secrets", kFileUses}, {"tags", kList}, {"ulimits", kUlimits}, {"platforms", kList}};
constexpr Shape kBuild{.fields = kBuildFields};

constexpr Field kRateFields[] = {{"path", {"s"}}, {"rate", {"is"}}};
constexpr Shape kRate{.fields = kRateFields, .extensions = false};
constexpr Spec kRateItem{.kinds = "m", .map = &kRate};
constexpr Spec kRates{.kinds = "l", .item = &kRateItem};
constexpr Field kWeightFields[] = {{"path", {"s"}}, {"weight", {"i"}}};
constexpr Shape kWeight{.fields = kWeightFields, .extensions = false};
constexpr Spec kWeightItem{.kinds = "m", .map = &kWeight};
constexpr Field kBlockIoFields[] = {{"device_read_bps", kRates}, {"device_read_iops", kRates}, {"device_write_bps", kRates},
                                    {"device_write_iops", kRates}, {"weight", {"i"}}, {"weight_device", {.kinds = "l", .item = &kWeightItem}}};
constexpr Shape kBlockIo{.fields = kBlockIoFields, .extensions = false};

constexpr Field kCredentialFields[] = {{"config", {"s"}}, {"file", {"s"}}, {"registry", {"s"}}};
constexpr Shape kCredential{.fields = kCredentialFields};

constexpr Field kDependencyFields[] = {{"restart", {"bs"}}, {"required", {"b"}},
                                       {"condition", {.kinds = "s", .words = "service_started|service_healthy|service_completed_successfully"}}};
constexpr Shape kDependency{.fields = kDependencyFields, .required = "condition"};
constexpr Spec kDependencyItem{.kinds = "m", .map = &kDependency};
constexpr Shape kDependencies{.any = &kDependencyItem, .extensions = false};

constexpr Field kDeviceFields[] = {{"source", {"s"}}, {"target", {"s"}}, {"permissions", {"s"}}};
constexpr Shape kDevice{.fields = kDeviceFields, .required = "source"};
constexpr Spec kDeviceItem{.kinds = "sm", .map = &kDevice};

constexpr Field kEnvFileFields[] = {{"path", {"s"}}, {"format", {"s"}}, {"required", {"bs"}}};
constexpr Shape kEnvFile{.fields = kEnvFileFields, .required = "path", .extensions = false};
constexpr Spec kEnvFileItem{.kinds = "sm", .map = &kEnvFile};

constexpr Field kExtendsFields[] = {{"service", {"s"}}, {"file", {"s"}}};
constexpr Shape kExtends{.fields = kExtendsFields, .required = "service", .extensions = false};

constexpr Spec kOptionItem{"snb"};
constexpr Spec kProviderOption{.kinds = "snbl", .item = &kOptionItem};
constexpr Shape kProviderOptions{.any = &kProviderOption, .extensions = false};
constexpr Field kProviderFields[] = {{"type", {"s"}}, {"options", {.kinds = "m", .map = &kProviderOptions}}};
constexpr Shape kProvider{.fields = kProviderFields, .required = "type"};

constexpr Field kRequestFields[] = {{"capabilities", kDistinct}, {"count", {"si"}}, {"device_ids", kDistinct}, {"driver", {"s"}},
                                    {"options", kDistinctDict}};
constexpr Shape kRequest{.fields = kRequestFields, .required = "capabilities"};
constexpr Shape kGpu{.fields = kRequestFields, .open = true};
constexpr Spec kRequestItem{.kinds = "m", .map = &kRequest};
constexpr Spec kGpuItem{.kinds = "m", .map = &kGpu};

constexpr Field kHealthFields[] = {{"disable", {"bs"}}, {"interval", {"s"}}, {"retries", {"ns"}}, {"test", kStringOrList}, {"timeout", {"s"}},
                                   {"start_period", {"s"}}, {"start_interval", {"s"}}};
constexpr Shape kHealth{.fields = kHealthFields};

constexpr Shape kLogOptions{.any = &kTextOrNull, .extensions = false};
constexpr Field kLoggingFields[] = {{"driver", {"s"}}, {"options", {.kinds = "m", .map = &kLogOptions}}};
constexpr Shape kLogging{.fields = kLoggingFields};

constexpr Field kModelUseFields[] = {{"endpoint_var", {"s"}}, {"model_var", {"s"}}};
constexpr Shape kModelUse{.fields = kModelUseFields};
constexpr Spec kModelUseItem{.kinds = "m0", .map = &kModelUse};
constexpr Shape kModelUses{.any = &kModelUseItem, .extensions = false};

constexpr Field kNetworkUseFields[] = {{"aliases", kList}, {"interface_name", {"s"}}, {"ipv4_address", {"s"}}, {"ipv6_address", {"s"}},
                                       {"link_local_ips", kList}, {"mac_address", {"s"}}, {"driver_opts", kDriverOptions},
                                       {"priority", {"n"}}, {"gw_priority", {"n"}}};
constexpr Shape kNetworkUse{.fields = kNetworkUseFields};
constexpr Spec kNetworkUseItem{.kinds = "m0", .map = &kNetworkUse};
constexpr Shape kNetworkUses{.any = &kNetworkUseItem, .extensions = false};

constexpr Field kPortFields[] = {{"name", {"s"}}, {"mode", {"s"}}, {"host_ip", {"s"}}, {"target", {"is"}}, {"published", {"si"}},
                                 {"protocol", {"s"}}, {"app_protocol", {"s"}}};
constexpr Shape kPort{.fields = kPortFields};
constexpr Spec kPortItem{.kinds = "nsm", .map = &kPort};

constexpr Field kHookFields[] = {{"command", kCommand}, {"user", {"s"}}, {"privileged", {"bs"}}, {"working_dir", {"s"}}, {"environment", kDistinctDict}};
constexpr Shape kHook{.fields = kHookFields, .required = "command"};
constexpr Spec kHookItem{.kinds = "m", .map = &kHook};
constexpr Spec kHooks{.kinds = "l", .item = &kHookItem};

constexpr Field kBindFields[] = {{"propagation", {"s"}}, {"create_host_path", {"bs"}},
                                 {"recursive", {.kinds = "s", .words = "enabled|disabled|writable|readonly"}}, {"selinux", {.kinds = "s", .words = "z|Z"}}};
constexpr Shape kBind{.fields = kBindFields};
constexpr Field kVolumePartFields[] = {{"labels", kDistinctDict}, {"nocopy", {"bs"}}, {"subpath", {"s"}}};
constexpr Shape kVolumePart{.fields = kVolumePartFields};
constexpr Field kTmpfsFields[] = {{"size", {.kinds = "is", .least = 0}}, {"mode", {"n"}}};
constexpr Shape kTmpfs{.fields = kTmpfsFields};
constexpr Field kImagePartFields[] = {{"subpath", {"s"}}};
constexpr Shape kImagePart{.fields = kImagePartFields};
constexpr Field kMountFields[] = {{"type", {.kinds = "s", .words = "bind|volume|tmpfs|cluster|npipe|image"}}, {"source", {"s"}}, {"target", {"s"}},
                                  {"read_only", {"bs"}}, {"consistency", {"s"}}, {"bind", {.kinds = "m", .map = &kBind}},
                                  {"volume", {.kinds = "m", .map = &kVolumePart}}, {"tmpfs", {.kinds = "m", .map = &kTmpfs}},
                                  {"image", {.kinds = "m", .map = &kImagePart}}};
constexpr Shape kMount{.fields = kMountFields, .required = "type"};
constexpr Spec kMountItem{.kinds = "sm", .map = &kMount};

constexpr Field kWatchFields[] = {{"ignore", kStringOrList}, {"include", kStringOrList}, {"path", {"s"}},
                                  {"action", {.kinds = "s", .words = "rebuild|sync|restart|sync+restart|sync+exec"}}, {"target", {"s"}},
                                  {"exec", {.kinds = "m", .map = &kHook}}, {"initial_sync", {"b"}}};
constexpr Shape kWatch{.fields = kWatchFields, .required = "path|action"};
constexpr Spec kWatchItem{.kinds = "m", .map = &kWatch};
constexpr Field kDevelopFields[] = {{"watch", {.kinds = "l", .item = &kWatchItem}}};
constexpr Shape kDevelop{.fields = kDevelopFields};

constexpr Field kAmountFields[] = {{"kind", {"s"}}, {"value", {"ns"}}};
constexpr Shape kAmount{.fields = kAmountFields};
constexpr Field kGenericFields[] = {{"discrete_resource_spec", {.kinds = "m", .map = &kAmount}}};
constexpr Shape kGeneric{.fields = kGenericFields};
constexpr Spec kGenericItem{.kinds = "m", .map = &kGeneric};
constexpr Field kLimitsFields[] = {{"cpus", {"ns"}}, {"memory", {"s"}}, {"pids", {"is"}}};
constexpr Shape kLimits{.fields = kLimitsFields};
constexpr Field kReservationFields[] = {{"cpus", {"ns"}}, {"memory", {"s"}}, {"generic_resources", {.kinds = "l", .item = &kGenericItem}},
                                        {"devices", {.kinds = "l", .item = &kRequestItem}}};
constexpr Shape kReservations{.fields = kReservationFields};
constexpr Field kResourcesFields[] = {{"limits", {.kinds = "m", .map = &kLimits}}, {"reservations", {.kinds = "m", .map = &kReservations}}};
constexpr Shape kResources{.fields = kResourcesFields};
constexpr Field kUpdateFields[] = {{"parallelism", {"is"}}, {"delay", {"s"}}, {"failure_action", {"s"}}, {"monitor", {"s"}},
                                   {"max_failure_ratio", {"ns"}}, {"order", {.kinds = "s", .words = "start-first|stop-first"}}};
constexpr Shape kUpdate{.fields = kUpdateFields};
constexpr Field kRestartFields[] = {{"condition", {"s"}}, {"delay", {"s"}}, {"max_attempts", {"is"}}, {"window", {"s"}}};
constexpr Shape kRestart{.fields = kRestartFields};
constexpr Field kSpreadFields[] = {{"spread", {"s"}}};
constexpr Shape kSpread{.fields = kSpreadFields};
constexpr Spec kSpreadItem{.kinds = "m", .map = &kSpread};
constexpr Field kPlacementFields[] = {{"constraints", kList}, {"preferences", {.kinds = "l", .item = &kSpreadItem}}, {"max_replicas_per_node", {"is"}}};
constexpr Shape kPlacement{.fields = kPlacementFields};
constexpr Field kDeployFields[] = {{"mode", {"s"}}, {"endpoint_mode", {"s"}}, {"replicas", {"is"}}, {"labels", kDict},
                                   {"rollback_config", {.kinds = "m", .map = &kUpdate}}, {"update_config", {.kinds = "m", .map = &kUpdate}},
                                   {"resources", {.kinds = "m", .map = &kResources}}, {"restart_policy", {.kinds = "m", .map = &kRestart}},
                                   {"placement", {.kinds = "m", .map = &kPlacement}}};
constexpr Shape kDeploy{.fields = kDeployFields};

constexpr Field kServiceFields[] = {
    {"annotations", kDict}, {"attach", {"bs"}}, {"blkio_config", {.kinds = "m", .map = &kBlockIo}}, {"build", {.kinds = "sm", .map = &kBuild}},
    {"cap_add", kList}, {"cap_drop", kList}, {"cgroup", {.kinds = "s", .words = "host|private"}}, {"cgroup_parent", {"s"}},
    {"command", kCommand}, {"configs", kFileUses}, {"container_name", {"s"}}, {"cpu_count", {.kinds = "is", .least = 0}},
    {"cpu_percent", {.kinds = "is", .least = 0, .most = 100}}, {"cpu_period", {"ns"}}, {"cpu_quota", {"ns"}}, {"cpu_rt_period", {"ns"}},
    {"cpu_rt_runtime", {"ns"}}, {"cpu_shares", {"ns"}}, {"cpus", {"ns"}}, {"cpuset", {"s"}},
    {"credential_spec", {.kinds = "m", .map = &kCredential}},
    {"depends_on", {.kinds = "lm", .map = &kDependencies, .item = &kString, .distinct = true}}, {"deploy", {.kinds = "m0", .map = &kDeploy}},
    {"develop", {.kinds = "m0", .map = &kDevelop}}, {"device_cgroup_rules", kDistinct}, {"devices", {.kinds = "l", .item = &kDeviceItem}},
    {"dns", kStringOrList}, {"dns_opt", kList}, {"dns_search", kStringOrList}, {"domainname", {"s"}}, {"entrypoint", kCommand},
    {"env_file", {.kinds = "sl", .item = &kEnvFileItem}}, {"environment", kDict}, {"expose", {.kinds = "l", .item = &kText}},
    {"extends", {.kinds = "sm", .map = &kExtends}}, {"external_links", kDistinct}, {"extra_hosts", kExtraHosts},
    {"gpus", {.kinds = "sl", .item = &kGpuItem, .words = "all"}}, {"group_add", {.kinds = "l", .item = &kText, .distinct = true}},
    {"healthcheck", {.kinds = "m", .map = &kHealth}}, {"hostname", {"s"}}, {"image", {"s"}}, {"init", {"bs"}}, {"ipc", {"s"}},
    {"isolation", {"s"}}, {"label_file", kStringOrList}, {"labels", kDict}, {"links", kList},
    {"logging", {.kinds = "m", .map = &kLogging}}, {"mac_address", {"s"}}, {"mem_limit", {"ns"}}, {"mem_reservation", {"is"}},
    {"mem_swappiness", {"is"}}, {"memswap_limit", {"ns"}},
    {"models", {.kinds = "lm", .map = &kModelUses, .item = &kString, .distinct = true}}, {"network_mode", {"s"}},
    {"networks", {.kinds = "lm", .map = &kNetworkUses, .item = &kString, .distinct = true}}, {"oom_kill_disable", {"bs"}},
    {"oom_score_adj", {.kinds = "is", .least = -1000, .most = 1000}}, {"pid", {"s0"}}, {"pids_limit", {"ns"}}, {"platform", {"s"}},
    {"ports", {.kinds = "l", .item = &kPortItem}}, {"post_start", kHooks}, {"pre_stop", kHooks}, {"privileged", {"bs"}}, {"profiles", kList},
    {"provider", {.kinds = "m", .map = &kProvider}}, {"pull_policy", {"s"}}, {"pull_refresh_after", {"s"}}, {"read_only", {"bs"}},
    {"restart", {"s"}}, {"runtime", {"s"}}, {"scale", {"is"}}, {"secrets", kFileUses}, {"security_opt", kDistinct}, {"shm_size", {"ns"}},
    {"stdin_open", {"bs"}}, {"stop_grace_period", {"s"}}, {"stop_signal", {"s"}}, {"storage_opt", {"m"}}, {"sysctls", kDict},
    {"tmpfs", kStringOrList}, {"tty", {"bs"}}, {"ulimits", kUlimits}, {"use_api_socket", {"b"}}, {"user", {"s"}}, {"userns_mode", {"s"}},
    {"uts", {"s"}}, {"volumes", {.kinds = "l", .item = &kMountItem}}, {"volumes_from", kDistinct}, {"working_dir", {"s"}}};
constexpr Shape kService{.fields = kServiceFields};
constexpr Spec kServiceItem{.kinds = "m", .map = &kService};
constexpr Shape kServices{.any = &kServiceItem, .extensions = false};

constexpr Field kExternalFields[] = {{"name", {"s"}}};
constexpr Shape kExternal{.fields = kExternalFields};
constexpr Shape kExternalOpen{.fields = kExternalFields, .open = true};
constexpr Spec kOutside{.kinds = "bsm", .map = &kExternal};
constexpr Spec kOutsideOpen{.kinds = "bsm", .map = &kExternalOpen};

constexpr Field kPoolFields[] = {{"subnet", {"s"}}, {"ip_range", {"s"}}, {"gateway", {"s"}}, {"aux_addresses", {.kinds = "m", .map = &kStrings}}};
constexpr Shape kPool{.fields = kPoolFields};
constexpr Spec kPoolItem{.kinds = "m", .map = &kPool};
constexpr Field kIpamFields[] = {{"driver", {"s"}}, {"config", {.kinds = "l", .item = &kPoolItem}}, {"options", {.kinds = "m", .map = &kStrings}}};
constexpr Shape kIpam{.fields = kIpamFields};
constexpr Field kNetworkFields[] = {{"name", {"s"}}, {"driver", {"s"}}, {"driver_opts", kDriverOptions}, {"ipam", {.kinds = "m", .map = &kIpam}},
                                    {"external", kOutside}, {"internal", {"bs"}}, {"enable_ipv4", {"bs"}}, {"enable_ipv6", {"bs"}},
                                    {"attachable", {"bs"}}, {"labels", kDict}};
constexpr Shape kNetwork{.fields = kNetworkFields};
constexpr Spec kNetworkItem{.kinds = "m0", .map = &kNetwork};
constexpr Shape kNetworks{.any = &kNetworkItem, .extensions = false};

constexpr Field kVolumeFields[] = {{"name", {"s"}}, {"driver", {"s"}}, {"driver_opts", kDriverOptions}, {"external", kOutside}, {"labels", kDistinctDict}};
constexpr Shape kVolume{.fields = kVolumeFields};
constexpr Spec kVolumeItem{.kinds = "m0", .map = &kVolume};
constexpr Shape kVolumes{.any = &kVolumeItem, .extensions = false};

constexpr Field kSecretFields[] = {{"name", {"s"}}, {"environment", {"s"}}, {"file", {"s"}}, {"external", kOutsideOpen}, {"labels", kDistinctDict},
                                   {"driver", {"s"}}, {"driver_opts", kDriverOptions}, {"template_driver", {"s"}}};
constexpr Shape kSecret{.fields = kSecretFields};
constexpr Spec kSecretItem{.kinds = "m", .map = &kSecret};
constexpr Shape kSecrets{.any = &kSecretItem, .extensions = false};
constexpr Field kConfigFields[] = {{"name", {"s"}}, {"content", {"s"}}, {"environment", {"s"}}, {"file", {"s"}}, {"external", kOutsideOpen},
                                   {"labels", kDistinctDict}, {"template_driver", {"s"}}};
constexpr Shape kConfig{.fields = kConfigFields};
constexpr Spec kConfigItem{.kinds = "m", .map = &kConfig};
constexpr Shape kConfigs{.any = &kConfigItem, .extensions = false};

constexpr Field kModelFields[] = {{"name", {"s"}}, {"model", {"s"}}, {"context_size", {"i"}}, {"runtime_flags", kList}};
constexpr Shape kModel{.fields = kModelFields, .required = "model"};
constexpr Spec kModelItem{.kinds = "m", .map = &kModel};
constexpr Shape kModels{.any = &kModelItem, .extensions = false};

constexpr Field kFileFields[] = {{"version", {"s"}}, {"name", {"s"}}, {"include", {"l0"}}, {"services", {.kinds = "m", .map = &kServices}},
                                 {"networks", {.kinds = "m", .map = &kNetworks}}, {"volumes", {.kinds = "m", .map = &kVolumes}},
                                 {"secrets", {.kinds = "m", .map = &kSecrets}}, {"configs", {.kinds = "m", .map = &kConfigs}},
                                 {"models", {.kinds = "m", .map = &kModels}}};

static_assert(kFileFields[kServicesField].name == "services");

}  // namespace

const Shape kFileShape{.fields = kFileFields};

}  // namespace dm::compose
