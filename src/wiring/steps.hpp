/// The steps of `wire`, in order; each reads what the ones before it filled. Internal to the module.
#pragma once

#include "wiring/wiring.hpp"

namespace dm::wiring {

void find_names(Wiring& wiring);                            // names.cpp
void find_listeners(Wiring& wiring);                        // listeners.cpp
void find_references(Wiring& wiring);                       // references.cpp
void find_mounts(Wiring& wiring, const sources::Files& files);  // mounts.cpp
void find_datastores(Wiring& wiring);                       // mounts.cpp
void find_variables(Wiring& wiring, Project& project);      // variables.cpp
void find_profile_troubles(Wiring& wiring, const sources::Files& files);  // profiles.cpp
void build_graph(Wiring& wiring);                           // graph.cpp

}  // namespace dm::wiring
