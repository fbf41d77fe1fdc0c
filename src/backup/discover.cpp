#include "backup/discover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "backup/settings.hpp"
#include "compose/labels.hpp"

namespace dm::backup {

using compose::label_of;

namespace {

constexpr std::pair<std::string_view, std::string_view> kByName[] = {
    {"postgres", "postgres"}, {"postgresql", "postgres"}, {"pgvector", "postgres"}, {"timescaledb", "postgres"}, {"postgis", "postgres"},
    {"mariadb", "mariadb"},   {"mysql", "mariadb"},       {"valkey", "valkey"},     {"redis", "valkey"},         {"keydb", "valkey"},
    {"openldap", "openldap"}, {"clickhouse", "clickhouse"}, {"clickhouse-server", "clickhouse"}, {"qdrant", "qdrant"}, {"couchdb", "couchdb"},
};
constexpr std::pair<std::string_view, std::string_view> kByProcess[] = {
    {"postgres", "postgres"},       {"mariadbd", "mariadb"},        {"mysqld", "mariadb"}, {"valkey-server", "valkey"},
    {"redis-server", "valkey"},     {"slapd", "openldap"},          {"clickhouse-server", "clickhouse"}, {"qdrant", "qdrant"},
};
/// What other parts call a kind.
constexpr std::pair<std::string_view, std::string_view> kSame[] = {{"mysql", "mariadb"}, {"redis", "valkey"}, {"ldap", "openldap"}, {"postgresql", "postgres"}};

std::string normal(std::string_view kind) {
  for (const auto& [other, ours] : kSame)
    if (kind == other) return std::string(ours);
  return std::string(kind);
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1); }

bool below(std::string_view inner, std::string_view outer) {
  return inner == outer || outer == "/" || (inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/');
}

std::string env(const engine::Container& container, std::string_view name) {
  for (const auto& text : container.env)
    if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=') return text.substr(name.size() + 1);
  return {};
}

/// Where a datastore keeps its data when nothing says otherwise.
std::string data_path(const product::Catalogue& products, const engine::Container& container, const std::string& kind) {
  if (kind == "postgres") {
    if (const auto path = env(container, "PGDATA"); path.starts_with('/')) return path;
    return "/var/lib/postgresql/data";
  }
  if (const auto* product = products.by_image(container.image); product != nullptr && !product->datastore.empty() && !product->data.empty()) return product->data.front().path;
  constexpr std::pair<std::string_view, std::string_view> kPaths[] = {{"mariadb", "/var/lib/mysql"}, {"valkey", "/data"}, {"openldap", "/var/lib/ldap"},
                                                                      {"clickhouse", "/var/lib/clickhouse"}, {"qdrant", "/qdrant/storage"}, {"couchdb", "/opt/couchdb/data"}};
  for (const auto& [name, path] : kPaths)
    if (kind == name) return std::string(path);
  return {};
}

/// Host paths that are no data: engine sockets, kernel file systems, devices, the clock.
std::string not_data(std::string_view source) {
  if (source.ends_with(".sock")) return "a socket";
  for (const std::string_view folder : {"/proc", "/sys", "/dev", "/run", "/var/run", "/etc", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/boot", "/tmp", "/var/lib/docker", "/var/log"})
    if (below(source, folder)) return fmt::format("belongs to the host ({})", folder);
  if (source == "/") return "the whole host";
  return {};
}

/// The higher of two; "" = nobody said.
std::string higher(const std::string& one, const std::string& other) {
  const auto rank = [](const std::string& tier) { return tier == kCritical ? 3 : tier == kStandard ? 2 : tier == kLow ? 1 : 0; };
  return rank(one) >= rank(other) ? one : other;
}

/// Of what a service keeps at `target` ("" = all of it): its label, else what is known of its product.
std::string wanted_tier(const product::Catalogue& products, const engine::Container& container, std::string_view target) {
  if (auto wish = label_of(container.labels, "datamancy.backup.tier"); !wish.empty()) return wish;
  const auto* product = products.by_image(container.image);
  if (product == nullptr || target.empty()) return {};
  bool known = false;
  for (const auto& data : product->data) {
    if (!below(data.path, target) && !below(target, data.path)) continue;
    if (data.essential) return {};
    known = true;
  }
  return known ? std::string(kLow) : std::string();
}

/// The settings have the last word.
void set_tier(Subject& subject, const Wishes& wishes, std::string tier) {
  for (const auto& service : subject.services)
    if (const auto found = wishes.tiers.find(service); found != wishes.tiers.end()) tier = found->second;
  if (const auto found = wishes.tiers.find(subject.id); found != wishes.tiers.end()) tier = found->second;
  if (tier == kCritical || tier == kLow) subject.target.facts["tier"] = tier;
}

struct Wish {
  std::string how, why, trouble;
};

/// How a service wants to stand still while what it keeps at `target` is copied: its label, else what is known of its product.
Wish quiesce_of(const product::Catalogue& products, const engine::Container& container, std::string_view target) {
  constexpr std::string_view kLabel = "datamancy.backup.quiesce";
  const auto wish = label_of(container.labels, kLabel.data());
  if (wish == "none") return {};
  if (wish == "pause" || wish == "stop" || wish == "files-first") return {wish, "by its label", {}};
  const auto* product = products.by_image(container.image);
  const bool here = product != nullptr && (product->data.empty() || std::ranges::any_of(product->data, [&](const product::DataPath& data) { return below(data.path, target) || below(target, data.path); }));
  Wish out;
  if (here && !product->quiesce.empty()) out = {product->quiesce, fmt::format("as {} needs: {}", product->name, product->quiesce_why), {}};
  if (!wish.empty()) out.trouble = fmt::format("its label {} is '{}', which is none of pause, stop, files-first, none", kLabel, wish);
  return out;
}

std::string excluded(const Wishes& wishes, std::string_view id, const std::vector<std::string>& services) {
  for (const std::string_view wish : wishes.exclude) {
    const auto cut = wish.find(" # ");
    const auto name = wish.substr(0, cut);
    const bool hit = name == id || (services.size() == 1 && services[0] == name);
    if (hit) return cut == std::string_view::npos ? "excluded" : fmt::format("excluded: {}", wish.substr(cut + 3));
  }
  return {};
}

}  // namespace

const Subject* Inventory::find(std::string_view id) const {
  const auto found = std::ranges::find(subjects, id, &Subject::id);
  return found == subjects.end() ? nullptr : &*found;
}

std::string kind_of(const product::Catalogue& products, std::string_view image, const std::vector<std::string>& processes) {
  if (const auto* product = products.by_image(image); product != nullptr) return normal(product->datastore);
  const auto name = base_name(product::split_image(image).repository);
  for (const auto& [ours, kind] : kByName)
    if (name == ours) return std::string(kind);
  for (const std::string_view line : processes) {
    auto program = base_name(line.substr(0, line.find(' ')));
    while (program.ends_with(':')) program.remove_suffix(1);
    for (const auto& [ours, kind] : kByProcess)
      if (program == ours) return std::string(kind);
  }
  return {};
}

std::string tier_of(const Target& target) {
  const auto fact = target.facts.find("tier");
  return fact == target.facts.end() ? std::string(kStandard) : fact->second;
}

Result<Inventory> discover(engine::Engine& engine, const product::Catalogue& products, std::string_view project, const Wishes& wishes, const Deadline& deadline) {
  Inventory out;
  out.project = project;
  DM_TRY(const auto info, engine.info(deadline));
  out.engine_id = info.id;
  DM_TRY(const auto containers, engine.containers({.labels = compose::of_project(project)}, deadline));
  if (containers.empty()) return fail(Errc::not_found, fmt::format("project '{}' has no container on this engine; start it first, or name another with -p", project));

  struct Tree {
    std::vector<std::string> services;
    std::vector<std::string> datastores;   // that keep their data in it
    std::string path, volume, tier;
    std::vector<Still> still;
    std::vector<std::string> quiesce;
    std::int64_t still_limit = 0;  // the least of theirs
    bool written = false, files_first = false;
  };
  std::map<std::string, Tree> trees;
  std::vector<std::string> seen;
  for (const auto& summary : containers) {
    const auto service = compose::service_of(summary.labels);
    if (service.empty() || compose::one_off(summary.labels)) continue;
    auto got = engine.container(summary.id, deadline);
    if (!got && got.error().code == Errc::not_found) continue;  // it went meanwhile
    DM_TRY(const auto container, std::move(got));
    if (out.folder.empty()) out.folder = label_of(container.labels, compose::label::kFolder);
    std::vector<std::string> processes;
    auto kind = kind_of(products, container.image, {});
    if (kind.empty() && container.running && products.by_image(container.image) == nullptr) {
      if (auto lines = engine.processes(summary.id, deadline.at_most(std::chrono::seconds(20)))) {
        for (auto& [pid, line] : *lines) processes.push_back(std::move(line));
        kind = kind_of(products, container.image, processes);
      }
    }
    const bool again = std::ranges::find(seen, service) != seen.end();  // a second replica has the same data
    seen.push_back(service);
    const auto path = kind.empty() ? std::string() : data_path(products, container, kind);
    if (!kind.empty() && !again) {
      const auto* driver = driver_of(kind);
      const auto why = excluded(wishes, service, {service});
      if (!why.empty()) {
        out.skipped.push_back({.id = service, .services = {service}, .reason = why, .finding = false});
      } else if (label_of(container.labels, "datamancy.backup") == "false") {
        out.skipped.push_back({.id = service, .services = {service}, .reason = "excluded by its label datamancy.backup=false", .finding = false});
      } else if (driver == nullptr) {
        if (kind != "sqlite") out.skipped.push_back({.id = service, .services = {service}, .reason = fmt::format("there is no driver for {}: only its volume is saved, as files", kind)});
      } else {
        Subject subject;
        subject.what = Subject::What::datastore;
        subject.id = service;
        subject.services = {service};
        subject.running = container.running;
        subject.config_hash = label_of(container.labels, compose::label::kConfigHash);
        subject.target = {.project = std::string(project), .service = service, .kind = kind, .container = container.id, .image = container.image,
                          .image_id = container.image_id, .data_path = path, .facts = {}, .identity = {}};
        set_tier(subject, wishes, wanted_tier(products, container, {}));
        subject.unsaved_why = excluded(wishes, service + "/unsaved", {});
        out.subjects.push_back(std::move(subject));
      }
    }
    if (const auto wish = label_of(container.labels, "datamancy.backup.tier"); !wish.empty() && !again && !is_tier(wish))
      out.skipped.push_back({.id = service, .services = {service}, .reason = fmt::format("its label datamancy.backup.tier is '{}', which is none of critical, standard, low", wish)});
    for (const auto& mount : container.mounts) {
      if (mount.type != "volume" && mount.type != "bind") continue;
      const auto id = mount.type == "volume" ? "volume:" + mount.name : "folder:" + mount.source;
      Tree& tree = trees[id];
      if (std::ranges::find(tree.services, service) == tree.services.end()) tree.services.push_back(service);
      tree.path = mount.source;
      if (mount.type == "volume") tree.volume = mount.name;
      tree.written = tree.written || mount.writable;
      // What one of them needs decides; who says nothing needs what is usual.
      const auto wanted = wanted_tier(products, container, mount.target);
      tree.tier = tree.tier.empty() ? (wanted.empty() ? std::string(kStandard) : wanted) : higher(tree.tier, wanted.empty() ? std::string(kStandard) : wanted);
      const auto wish = quiesce_of(products, container, mount.target);
      if (!wish.trouble.empty() && !again && std::ranges::none_of(out.skipped, [&](const Skipped& one) { return one.reason == wish.trouble; })) out.skipped.push_back({.id = service, .services = {service}, .reason = wish.trouble});
      if (mount.writable && !wish.how.empty()) {
        if (auto line = fmt::format("{}: {}, {}", service, wish.how, wish.why); std::ranges::find(tree.quiesce, line) == tree.quiesce.end()) tree.quiesce.push_back(std::move(line));
        tree.files_first = tree.files_first || wish.how == "files-first";
        if (container.running && wish.how != "files-first" && std::ranges::find(tree.still, container.id, &Still::container) == tree.still.end())
          tree.still.push_back({.container = container.id, .stop = wish.how == "stop"});
        constexpr std::string_view kLimit = "datamancy.backup.quiesce-limit";
        const auto said = label_of(container.labels, kLimit.data());
        const auto limit = said.empty() ? wishes.quiesce_limit : seconds_of(said);
        if (limit == 0 && !again) out.skipped.push_back({.id = service, .services = {service}, .reason = fmt::format("its label {} is '{}', which is no duration like 5m", kLimit, said)});
        const auto most = limit == 0 ? wishes.quiesce_limit : limit;
        tree.still_limit = tree.still_limit == 0 ? most : std::min(tree.still_limit, most);
      }
      const bool holds = !path.empty() && driver_of(kind) != nullptr && (below(path, mount.target) || (kind == "openldap" && (below(mount.target, "/etc/ldap") || below(mount.target, "/var/lib/ldap"))) ||
                                                                            (below(mount.target, path)));
      if (holds) tree.datastores.push_back(service);
    }
  }
  for (auto& [id, tree] : trees) {
    if (const auto why = excluded(wishes, id, {}); !why.empty()) {
      out.skipped.push_back({.id = id, .services = tree.services, .reason = why, .finding = false});
      continue;
    }
    if (!tree.datastores.empty()) {
      const bool dumped = std::ranges::all_of(tree.datastores, [&](const std::string& service) { return out.find(service) != nullptr; });
      out.skipped.push_back({.id = id, .services = tree.services, .reason = dumped ? fmt::format("the data of {}, which is dumped", fmt::join(tree.datastores, ", ")) : "the data of an excluded datastore", .finding = false});
      continue;
    }
    const bool is_volume = !tree.volume.empty();
    if (!is_volume) {
      if (const auto why = not_data(tree.path); !why.empty()) {
        out.skipped.push_back({.id = id, .services = tree.services, .reason = why, .finding = false});
        continue;
      }
      if (!out.folder.empty() && below(tree.path, out.folder)) {
        out.skipped.push_back({.id = id, .services = tree.services, .reason = "saved with the project's folder", .finding = false});
        continue;
      }
    }
    Subject subject;
    subject.what = is_volume ? Subject::What::volume : Subject::What::folder;
    subject.id = id;
    subject.services = tree.services;
    subject.still = tree.still;
    if (tree.still_limit > 0) subject.still_limit = tree.still_limit;
    subject.files_first = tree.files_first;
    subject.quiesce = tree.quiesce;
    subject.target.project = project;
    subject.target.service = tree.services.front();
    subject.target.kind = "tree";
    subject.target.facts = {{"path", tree.path}};
    if (is_volume) subject.target.facts["volume"] = tree.volume;
    subject.target.identity = id;
    set_tier(subject, wishes, tree.tier);
    out.subjects.push_back(std::move(subject));
  }
  if (!out.folder.empty()) {
    Subject subject;
    subject.what = Subject::What::project;
    subject.id = "project";
    subject.target.project = project;
    subject.target.kind = "tree";
    subject.target.facts = {{"path", out.folder}};
    subject.target.identity = "folder:" + out.folder;
    // Live data of datastores that lies below it is dumped, not copied.
    std::string exclude;
    for (const auto& [id, tree] : trees)
      if (!tree.datastores.empty() && below(tree.path, out.folder)) exclude += tree.path + "\n";
    for (const auto& path : wishes.exclude_paths)
      if (below(path, out.folder)) exclude += path + "\n";
    if (!exclude.empty()) subject.target.facts["exclude"] = exclude;
    set_tier(subject, wishes, {});
    out.subjects.push_back(std::move(subject));
  }
  std::stable_partition(out.subjects.begin(), out.subjects.end(), [](const Subject& subject) { return subject.files_first; });
  return out;
}

}  // namespace dm::backup
