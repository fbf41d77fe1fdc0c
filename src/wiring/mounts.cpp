#include <algorithm>
#include <array>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

/// Targets that a container reads as one file: a known ending, or a well-known name.
bool file_like(std::string_view target) {
  const auto name = sources::file_name(target);
  static constexpr std::array kNames{"Caddyfile", "Dockerfile", "Corefile", "crontab", "hosts", "passwd", "localtime", "timezone", ".htpasswd"};
  if (std::ranges::find(kNames, name) != kNames.end()) return true;
  static constexpr std::array kEndings{".yml", ".yaml", ".json", ".toml", ".conf", ".cfg", ".ini", ".xml", ".sql", ".sh", ".env", ".pem",
                                       ".crt", ".key", ".cnf", ".txt", ".ldif", ".properties", ".py", ".js", ".php", ".lua", ".rules"};
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

bool below(std::string_view inner, std::string_view outer) {
  return inner == outer || outer == "/" || (inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/');
}

}  // namespace

void find_mounts(Wiring& wiring, const sources::Files& files) {
  const Project& project = *wiring.project;
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    for (const auto& mount : project.services[id].mounts) {
      MountUse use;
      use.service = id;
      use.mount = &mount;
      if (mount.type == compose::Mount::Type::bind) use.host_path = mount.source;
      else if (const auto* volume = project.volume(mount.source); volume != nullptr) use.host_path = volume->device;
      if (!use.host_path.empty()) {
        use.in_project = below(use.host_path, project.folder);
        if (use.in_project) use.source = files.stat(use.host_path);
      }
      use.looks_like_file = file_like(mount.target);
      wiring.mounts.push_back(std::move(use));
    }
  }
}

void find_datastores(Wiring& wiring) {
  const Project& project = *wiring.project;
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    const auto* product = wiring.product_of[id];
    if (product == nullptr || product->datastore.empty() || product->data.empty() || wiring.one_shot[id]) continue;
    const Service& service = project.services[id];
    Datastore store;
    store.service = id;
    store.product = product;
    store.kind = product->datastore;
    store.data_path = product->data.front().path;
    if (const auto* moved = service.env("PGDATA"); moved != nullptr && product->id == "postgres" && !moved->value.value.empty())
      store.data_path = moved->value.value;
    const auto data_mount = [&](std::string_view path) {
      const compose::Mount* best = nullptr;
      for (const auto& mount : service.mounts)
        if (below(path, mount.target) && (best == nullptr || mount.target.size() > best->target.size())) best = &mount;
      return best;
    };
    store.mount = data_mount(store.data_path);
    // From PostgreSQL 18 on the image keeps its data below /var/lib/postgresql, whatever the version's folder.
    if (store.mount != nullptr && store.mount->type == compose::Mount::Type::tmpfs) store.ephemeral = true;
    store.wrong_path = store.mount == nullptr && std::ranges::any_of(service.mounts, [](const auto& mount) {
                         return !mount.read_only && (mount.type == compose::Mount::Type::volume) && !file_like(mount.target);
                       });
    for (ServiceId other = 0; other < project.services.size() && store.mount != nullptr; ++other) {
      if (other == id || store.mount->source.empty()) continue;
      const auto* theirs = wiring.product_of[other];
      const bool backup = (theirs != nullptr && theirs->kind == "backup") || project.services[other].name.find("backup") != std::string_view::npos;
      if (!backup) continue;
      const bool mounts = std::ranges::any_of(project.services[other].mounts, [&](const auto& mount) {
        return mount.type == store.mount->type && mount.source == store.mount->source;
      });
      const bool dumps = std::ranges::any_of(wiring.references, [&](const Reference& reference) { return reference.from == other && reference.to == id; });
      if (mounts || dumps) store.backed_up_by.push_back(other);
    }
    wiring.datastores.push_back(std::move(store));
  }
}

}  // namespace dm::wiring
