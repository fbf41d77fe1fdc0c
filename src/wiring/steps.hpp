/// The steps of `wire`, in order; each reads what the ones before it filled. Internal to the module.
#pragma once

#include <unordered_map>

#include "wiring/config_hosts.hpp"
#include "wiring/wiring.hpp"

namespace dm::wiring {

void find_products(Wiring& wiring);                         // products.cpp
void find_one_shots(Wiring& wiring);                        // one_shot.cpp
void find_names(Wiring& wiring);                            // names.cpp
void find_listeners(Wiring& wiring);                        // listeners.cpp
void find_config_files(Wiring& wiring, Project& project);   // config_files.cpp
void find_references(Wiring& wiring);                       // references.cpp
void find_mounts(Wiring& wiring, const sources::Files& files);  // mounts.cpp
void find_datastores(Wiring& wiring);                       // datastores.cpp
void find_variables(Wiring& wiring, Project& project);      // variables.cpp
void find_profile_troubles(Wiring& wiring, const sources::Files& files);  // profiles.cpp
void build_graph(Wiring& wiring);                           // graph.cpp

/// Hosts that a service's configuration file names; views into the project's texts.
struct ConfigText {
  ServiceId service = kNone;
  sources::FileId file = sources::kNoFile;
  std::vector<ConfigHost> hosts;
};
std::vector<ConfigText> config_texts(const Wiring& wiring);

/// What a shell is given: the words of entrypoint and command, `after` behind each; "" where the container does not begin with one.
std::string shell_script(const Service& service, char after);  // one_shot.cpp

/// The service whose network `id` uses: itself, or the end of its `network_mode: service:x`.
ServiceId namespace_owner(const Wiring& wiring, ServiceId id);
/// Services whose network others use.
std::unordered_map<ServiceId, bool> namespaces_shared(const Wiring& wiring);

}  // namespace dm::wiring
