#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

using compose::Mount;

bool below(std::string_view inner, std::string_view outer) {
  return inner == outer || outer == "/" || (inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/');
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

/// A word of the name, "db-backup", not a part of one.
bool backup_name(std::string_view name) {
  while (!name.empty()) {
    const auto end = std::min(name.find_first_of("-_."), name.size());
    const auto word = name.substr(0, end);
    if (word == "backup" || word == "backups" || word == "dump" || word == "pgdump" || word == "dumper") return true;
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return false;
}

bool is_backup(const Wiring& wiring, ServiceId id) {
  const Service& service = wiring.service(id);
  if (wiring.product_of[id] != nullptr && wiring.product_of[id]->kind == "backup") return true;
  if (backup_name(service.name)) return true;
  const auto image = product::split_image(service.image.value).repository;
  if (has_any(image, {"backup", "kopia", "restic", "borgmatic", "duplicati", "duplicacy", "pgbackrest", "wal-g", "autorestic"})) return true;
  const auto dumps = [](const compose::Text& word) { return has_any(word.value, {"pg_dump", "pg_basebackup", "mysqldump", "mariadb-dump", "mongodump", "redis-cli --rdb"}); };
  return std::ranges::any_of(service.command, dumps) || std::ranges::any_of(service.entrypoint, dumps);
}

/// The leading number of a tag: 18 of "18.1-alpine".
int major_version(std::string_view tag) {
  int number = 0;
  const auto [stop, error] = std::from_chars(tag.data(), tag.data() + tag.size(), number);
  return error == std::errc() && (stop == tag.data() + tag.size() || *stop == '.' || *stop == '-') ? number : 0;
}

/// The value of an option in the command: `--datadir=/x` or `--datadir /x`.
std::string_view option(const Service& service, std::string_view name) {
  for (std::size_t i = 0; i < service.command.size(); ++i) {
    const auto word = service.command[i].value;
    if (word == name && i + 1 < service.command.size()) return service.command[i + 1].value;
    if (word.size() > name.size() && word.starts_with(name) && word[name.size()] == '=') return word.substr(name.size() + 1);
  }
  return {};
}

std::string data_path(const Service& service, const product::Product& product) {
  std::string_view moved;
  if (product.datastore == "postgres") {
    if (const auto* variable = service.env("PGDATA"); variable != nullptr) moved = variable->value.value;
    const auto image = product::split_image(service.image.value);
    // From 18 on the official image writes below /var/lib/postgresql/MAJOR/docker.
    const bool newest = image.digest.empty() && (image.tag.empty() || image.tag == "latest" || image.tag == "alpine" || image.tag == "trixie" || image.tag == "bookworm");
    const int major = newest ? 18 : major_version(image.tag);
    if (moved.empty() && major >= 18 && major < 100 && (image.repository == "postgres" || image.repository == "library/postgres"))
      return "/var/lib/postgresql/" + std::to_string(major) + "/docker";
  }
  if (product.datastore == "mariadb" || product.datastore == "mysql") moved = option(service, "--datadir");
  if (product.datastore == "valkey" || product.datastore == "redis") moved = option(service, "--dir");
  if (product.datastore == "mongodb" || product.datastore == "mongo") moved = option(service, "--dbpath");
  return moved.starts_with('/') ? sources::clean_path(moved) : product.data.front().path;
}

/// A cache that was told to keep nothing: --save "" and no append-only file.
bool keeps_nothing(const Service& service) {
  bool off = false;
  for (std::size_t i = 0; i + 1 < service.command.size(); ++i) {
    if (service.command[i].value == "--save" && (service.command[i + 1].value.empty() || service.command[i + 1].value == "\"\"")) off = true;
    if (service.command[i].value == "--appendonly" && service.command[i + 1].value == "yes") return false;
  }
  return off;
}

/// The server's image as a client: a shell of its own calls `mongosh`, `psql` or the like, and starts no server.
bool only_client(const Service& service) {
  if (!service.ports.empty()) return false;
  const auto script = shell_script(service, ' ');
  if (has_any(script, {"mongod ", "exec postgres", "&& postgres", "; postgres", "gosu postgres", "su-exec postgres", "pg_ctl", "docker-entrypoint", "docker_entrypoint", "mysqld", "mariadbd", "redis-server", "valkey-server", "clickhouse-server", "exec \"$@\"", ".sh", "qdrant", "elasticsearch"})) return false;
  return has_any(script, {"mongosh", "mongo ", "psql ", "pg_isready", "pg_dump", "mysql ", "mariadb ", "redis-cli", "valkey-cli", "clickhouse-client"});
}

/// A volume that may have been meant for the data: not for dumps, scripts, certificates, configuration or sockets.
bool meant_for_data(const Mount& mount) {
  return mount.type == Mount::Type::volume && !mount.read_only && !mount.target.starts_with("/etc") && !mount.target.starts_with("/run") &&
         !mount.target.starts_with("/tmp") && !has_any(mount.target, {"backup", "dump", "initdb", "entrypoint", "cert", "conf", "/log", "script", "export", "import", "archive"});
}

/// A folder of the host at a place where only data are kept: `./db:/var/lib/mariadb`.
bool folder_for_data(const Mount& mount) {
  if (mount.type != Mount::Type::bind || mount.read_only || sources::file_name(mount.target).find('.') != std::string_view::npos) return false;
  if (has_any(mount.target, {"backup", "dump", "initdb", "entrypoint", "cert", "conf", "/log", "script", "export", "import", "archive"})) return false;
  return mount.target.starts_with("/var/lib/") || mount.target.starts_with("/data") || mount.target.ends_with("/data");
}

std::string_view host_path(const Project&, const std::unordered_map<std::string_view, std::string_view>& devices, const Mount& mount) {
  if (mount.type == Mount::Type::bind) return mount.source;
  const auto found = devices.find(mount.source);
  return mount.type == Mount::Type::volume && found != devices.end() ? found->second : std::string_view();
}

/// Who backs up what: volumes by name, host folders, and services that a backup names.
class Backups {
 public:
  explicit Backups(const Wiring& wiring) : project_(*wiring.project) {
    for (const auto& volume : project_.volumes)
      if (!volume.device.empty()) devices_[volume.key] = volume.device;
    for (ServiceId id = 0; id < project_.services.size(); ++id) {
      if (!is_backup(wiring, id)) continue;
      all_.insert(id);
      for (const auto& mount : project_.services[id].mounts) {
        if (mount.type == Mount::Type::volume && !mount.source.empty()) volumes_[mount.source].push_back(id);
        if (const auto path = host_path(project_, devices_, mount); !path.empty()) {
          folders_[path].push_back(id);
          if (path == "/var/lib/docker/volumes" || path == "/var/lib/docker") every_volume_.push_back(id);
        }
      }
    }
    for (const auto& reference : wiring.references)
      if (reference.to != kNone && reference.via != Reference::Via::depends_on && all_.contains(reference.from)) dumps_[reference.to].push_back(reference.from);
  }

  bool contains(ServiceId id) const { return all_.contains(id); }

  std::vector<ServiceId> of(ServiceId id, const Mount* mount) const {
    std::set<ServiceId> out;
    const auto take = [&](const auto& map, const auto& key) {
      if (const auto found = map.find(key); found != map.end()) out.insert(found->second.begin(), found->second.end());
    };
    take(dumps_, id);
    if (mount != nullptr && mount->type == Mount::Type::volume && !mount->source.empty()) {
      take(volumes_, mount->source);
      out.insert(every_volume_.begin(), every_volume_.end());
    }
    if (mount != nullptr) {
      for (auto path = host_path(project_, devices_, *mount); path.size() > 1;) {  // the folder itself or one above it
        take(folders_, path);
        const auto slash = path.rfind('/');
        if (slash == std::string_view::npos) break;
        path = path.substr(0, slash);
      }
    }
    out.erase(id);
    return {out.begin(), out.end()};
  }

 private:
  const Project& project_;
  std::unordered_map<std::string_view, std::string_view> devices_;
  std::set<ServiceId> all_;
  std::unordered_map<std::string_view, std::vector<ServiceId>> volumes_, folders_;
  std::unordered_map<ServiceId, std::vector<ServiceId>> dumps_;
  std::vector<ServiceId> every_volume_;
};

}  // namespace

void find_datastores(Wiring& wiring) {
  const Project& project = *wiring.project;
  const Backups backups(wiring);
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    const auto* product = wiring.product_of[id];
    if (product == nullptr || product->datastore.empty() || product->data.empty() || wiring.one_shot[id] || backups.contains(id)) continue;
    const Service& service = project.services[id];
    if (only_client(service)) continue;
    Datastore store;
    store.service = id;
    store.product = product;
    store.kind = product->datastore;
    store.data_path = data_path(service, *product);
    for (const auto& mount : service.mounts)
      if (below(store.data_path, mount.target) && (store.mount == nullptr || mount.target.size() > store.mount->target.size())) store.mount = &mount;
    store.ephemeral = (store.mount != nullptr && store.mount->type == Mount::Type::tmpfs) || keeps_nothing(service);
    store.wrong_path = store.mount == nullptr && std::ranges::any_of(service.mounts, [](const Mount& mount) { return meant_for_data(mount) || folder_for_data(mount); });
    store.backed_up_by = backups.of(id, store.mount);
    wiring.datastores.push_back(std::move(store));
  }
}

const Datastore* Wiring::datastore(ServiceId id) const {
  const auto found = std::ranges::lower_bound(datastores, id, {}, &Datastore::service);  // they are in project order
  return found != datastores.end() && found->service == id ? &*found : nullptr;
}

}  // namespace dm::wiring
