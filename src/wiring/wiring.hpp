/// Who talks to whom and why: the resolved picture of a project, with its evidence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compose/project.hpp"
#include "product/product.hpp"

namespace dm::wiring {

using compose::Location;
using compose::Project;
using compose::Service;

/// Index into Project::services.
using ServiceId = std::uint32_t;
inline constexpr ServiceId kNone = 0xFFFFFFFFU;

/// A name that Docker's resolver answers on one network.
struct DnsName {
  enum class Origin : std::uint8_t { service, alias, container_name, hostname, link };
  std::string_view network;   ///< key
  std::string_view name;
  ServiceId service = kNone;
  Origin origin = Origin::service;
  Location where;
};

/// Service `from` names a host.
struct Reference {
  enum class Via : std::uint8_t { environment, command, healthcheck, label, config_file, depends_on, proxy_route, extra };
  enum class Outcome : std::uint8_t {
    reachable,            ///< the name resolves to a service on a common network
    no_common_network,    ///< such a service exists, but they share no network
    unknown_name,         ///< a bare name that nothing answers to
    external,             ///< an FQDN or address outside the project, or a name on an external network
    self,                 ///< localhost or its own name
    host,                 ///< host.docker.internal or host networking
    inactive,             ///< the target is only in profiles that are off whenever `from` is on
  };
  ServiceId from = kNone;
  ServiceId to = kNone;           ///< of reachable, no_common_network, inactive
  std::string host;
  std::optional<std::uint16_t> port;
  std::string scheme;             ///< "postgres", "http", "" if unknown
  Via via = Via::environment;
  std::string key;                ///< "AUTHELIA_STORAGE_POSTGRES_ADDRESS", "reverse_proxy", ...
  Outcome outcome = Outcome::external;
  std::string network;            ///< the common network, of reachable
  std::optional<bool> port_listens; ///< the target listens there: known yes, known no, unknown
  bool firm = true;               ///< surely a host (URL, *_HOST, host:port with a known port); else a guess
  Location where;                 ///< the host within the value
};

/// A port that a service listens on, and how we know.
struct Listener {
  ServiceId service = kNone;
  std::uint16_t port = 0;
  std::string protocol = "tcp";
  std::string evidence;           ///< "product postgres", "ports", "expose", "healthcheck", "environment PORT"
  bool certain = false;           ///< the list of ports of this service is complete (product known, not moved)
};

struct MountUse {
  ServiceId service = kNone;
  const compose::Mount* mount = nullptr;   ///< into Project
  std::string host_path;                   ///< bind, or a local volume's device; "" else
  sources::Stat source;                    ///< of a bind
  bool in_project = false;                 ///< host_path lies below the project folder
  bool looks_like_file = false;            ///< the target has the form of a file (extension, known name)
  std::vector<const compose::Mount*> shadows;  ///< other mounts of the service below or above this target
};

/// A service recognised as one that keeps data.
struct Datastore {
  ServiceId service = kNone;
  const product::Product* product = nullptr;
  std::string kind;                        ///< "postgres", ...
  std::string data_path;                   ///< where it keeps the data (environment like PGDATA considered)
  const compose::Mount* mount = nullptr;   ///< that holds data_path; null = in the container's own layer
  bool wrong_path = false;                 ///< a volume or data folder is mounted, but not where the product writes
  bool ephemeral = false;                  ///< tmpfs or cache by declaration (no persistence wanted)
  std::vector<ServiceId> backed_up_by;     ///< services that mount it read-only or whole for backup, or dump it
};

struct VariableInfo {
  std::string name;
  std::vector<const compose::VariableUse*> uses;
  std::vector<Location> definitions;       ///< in .env files, .env.example and the like
  bool defined = false;                    ///< Compose would find a value
  bool documented = false;                 ///< stands in an example file or generator
};

/// A file of the project that a service consumes, parsed as far as we can.
struct ConfigFile {
  ServiceId service = kNone;
  std::string path;                        ///< on the host
  sources::FileId file = sources::kNoFile;
  std::string format;                      ///< "caddyfile", "nginx", "yaml", "json", "toml", "ini", "xml", "env", "sql", "shell", ""
  const compose::Mount* mount = nullptr;
};

/// A set of profiles under which Compose would refuse the project or a dependency is off.
struct ProfileTrouble {
  std::vector<std::string> profiles;       ///< the combination; empty = none chosen
  std::string basis;                       ///< "each profile alone", "README.md:12", "COMPOSE_PROFILES in .env"
  ServiceId service = kNone;
  ServiceId dependency = kNone;
  Location where;                          ///< the depends_on item
};

/// All of it. Views point into the project, which must outlive it.
struct Wiring {
  const Project* project = nullptr;
  const product::Catalogue* products = nullptr;
  std::vector<const product::Product*> product_of;   ///< by ServiceId, of the image or of the one that its build starts from; null = unknown
  std::vector<bool> one_shot;                        ///< by ServiceId: runs to completion (init job, migration)
  std::vector<DnsName> names;
  std::vector<Reference> references;
  std::vector<Listener> listeners;
  std::vector<MountUse> mounts;
  std::vector<Datastore> datastores;
  std::vector<VariableInfo> variables;
  std::vector<ConfigFile> config_files;
  std::vector<ProfileTrouble> profile_troubles;
  std::vector<std::vector<ServiceId>> dependencies;  ///< by ServiceId: depends_on and firm references
  std::vector<std::vector<ServiceId>> dependents;    ///< the reverse
  std::vector<ServiceId> critical_path;              ///< longest chain by health budget, first started first

  const Service& service(ServiceId id) const;
  ServiceId id_of(std::string_view name) const;      ///< kNone if there is none
  /// Networks that both are on. host network mode gives none.
  std::vector<std::string_view> common_networks(ServiceId a, ServiceId b) const;
  bool reachable(ServiceId a, ServiceId b) const;
  /// Everything that fails when `id` fails, transitively; without itself.
  std::vector<ServiceId> blast_radius(ServiceId id) const;
  const Datastore* datastore(ServiceId id) const;
  /// Services whose datastore is to outlive its container, each once.
  std::vector<std::string> lasting_datastores() const;
  /// Known to listen on `port`: yes, no (the product's ports are known and it is none of them), or unknown.
  std::optional<bool> listens(ServiceId id, std::uint16_t port) const;
};

/// Computes everything; reads the files that the project mounts or names through `project.texts`.
Wiring wire(Project& project, const product::Catalogue& products);

}  // namespace dm::wiring
