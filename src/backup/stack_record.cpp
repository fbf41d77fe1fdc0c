#include "backup/stack_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/words.hpp"
#include "compose/labels.hpp"
#include "compose/load.hpp"
#include "secrets/scan.hpp"
#include "secrets/sops.hpp"
#include "sensitive/sensitive.hpp"
#include "sources/files.hpp"

namespace dm::backup {

using compose::label_of;
namespace label = compose::label;

namespace {

using Json = nlohmann::json;

/// The files that a label names; what lies in memory does not outlive the machine.
std::vector<std::string> paths_of(const engine::Labels& labels, const char* name) {
  auto out = compose::paths_in(label_of(labels, name));
  std::erase_if(out, [](const std::string& path) { return path.starts_with("/run/"); });
  return out;
}

bool below(std::string_view inner, std::string_view outer) { return inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/'; }

/// A file that by its name is a secret and nothing else.
bool secret_file_name(std::string_view path) {
  const auto name = lowered(sources::file_name(path));
  if (name.ends_with(".pub") || name.ends_with(".crt") || name.ends_with(".md") || name.ends_with(".sh")) return false;
  return std::ranges::any_of(std::initializer_list<std::string_view>{"password", "passwd", "secret", "token", "credential", "id_rsa", "id_ed25519", ".key"}, [&](std::string_view word) { return name.find(word) != std::string::npos; }) ||
         name.ends_with(".pem");
}

bool holds_secret(const std::string& path, bool by_name) {
  const auto text = sources::disk().read(path, 4U << 20U);
  if (!text || text->empty() || secrets::sealed_store(*text)) return false;
  if (by_name && secret_file_name(path)) return true;
  if (text->find("PRIVATE KEY-----") != std::string::npos || text->find("AGE-SECRET-KEY-1") != std::string::npos) return true;
  return std::ranges::any_of(secrets::scan_file(path, *text), [](const secrets::Leak& leak) { return leak.severity != "info" && leak.rule != secrets::LeakRule::hash; });
}

/// The engine made its name up: 64 hexadecimal digits, and since 25.0 a label.
bool nameless(const engine::Volume& volume) {
  return volume.labels.contains("com.docker.volume.anonymous") || (volume.name.size() == 64 && volume.name.find_first_not_of("0123456789abcdef") == std::string::npos);
}

bool is_env(std::string_view name) { return name == ".env" || name.ends_with(".env") || name.starts_with(".env."); }

}  // namespace

std::string StackRecord::json() const {
  auto list = Json::array();
  for (const auto& service : services) list.push_back({{"service", service.name}, {"image", service.image}, {"image_id", service.image_id}, {"digests", service.digests}});
  auto stores = Json::array();
  for (const auto& volume : volumes) stores.push_back({{"name", volume.name}, {"key", volume.key}, {"driver", volume.driver}, {"options", volume.options}, {"service", volume.service}, {"target", volume.target}});
  return Json{{"folder", folder}, {"files", files}, {"env_files", env_files}, {"services", std::move(list)}, {"volumes", std::move(stores)}, {"sealed", sealed}, {"missing", missing}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<StackRecord> StackRecord::parse(std::string_view json) {
  try {
    const auto tree = Json::parse(json);
    const auto texts = [&](const char* key) { return tree.at(key).get<std::vector<std::string>>(); };
    StackRecord out;
    out.folder = tree.at("folder").get<std::string>();
    out.files = texts("files");
    out.env_files = texts("env_files");
    out.sealed = texts("sealed");
    out.missing = texts("missing");
    for (const auto& one : tree.at("services"))
      out.services.push_back({one.at("service").get<std::string>(), one.at("image").get<std::string>(), one.at("image_id").get<std::string>(), one.at("digests").get<std::vector<std::string>>()});
    for (const auto& one : tree.at("volumes"))
      out.volumes.push_back({one.at("name").get<std::string>(), one.at("key").get<std::string>(), one.at("driver").get<std::string>(), one.at("options").get<std::map<std::string, std::string>>(), one.value("service", ""), one.value("target", "")});
    return out;
  } catch (const Json::exception&) {
    return fail(Errc::corrupt, "the record of the stack cannot be read");
  }
}

Result<StackRecord> record_stack(engine::Engine& engine, std::string_view project, const Deadline& deadline) {
  StackRecord out;
  DM_TRY(const auto containers, engine.containers({.labels = compose::of_project(project)}, deadline));
  std::set<std::string> seen;
  std::map<std::string, std::pair<std::string, std::string>> volumes;  // by name: who mounts it where
  std::int64_t newest = 0;
  for (const auto& summary : containers) {
    const auto service = compose::service_of(summary.labels);
    if (service.empty() || compose::one_off(summary.labels)) continue;
    for (const auto& mount : summary.mounts)
      if (mount.type == "volume" && !mount.name.empty()) volumes.emplace(mount.name, std::pair(service, mount.target));
    // The newest container knows best with which files Compose was called.
    if (summary.created > newest) {
      newest = summary.created;
      out.folder = label_of(summary.labels, label::kFolder);
      out.files = paths_of(summary.labels, label::kConfigFiles);
      out.env_files = paths_of(summary.labels, label::kEnvFiles);
    }
    if (!seen.insert(service).second) continue;
    StackRecord::Service one{service, summary.image, summary.image_id, {}};
    if (auto image = engine.image(summary.image_id, deadline)) one.digests = std::move(image->digests);
    out.services.push_back(std::move(one));
  }
  // A model of ours (after a rollback) is no file of the project.
  if (std::ranges::any_of(out.files, [&](const std::string& path) { return !below(path, out.folder); })) out.files.clear();
  std::erase_if(out.env_files, [&](const std::string& path) { return !below(path, out.folder); });
  std::ranges::sort(out.services, {}, &StackRecord::Service::name);
  for (const auto& [name, used] : volumes) {
    const auto volume = engine.volume(name, deadline);
    if (!volume) continue;
    const bool ours = label_of(volume->labels, label::kProject) == project;
    out.volumes.push_back({name, ours ? label_of(volume->labels, label::kVolume) : std::string(), volume->driver, volume->options, {}, {}});
    if (nameless(*volume)) std::tie(out.volumes.back().service, out.volumes.back().target) = used;
  }
  return out;
}

std::vector<std::string> plain_secrets(const StackRecord& record) {
  if (record.folder.empty()) return {};
  compose::Options options;
  options.files = record.files;
  options.env_files = record.env_files;
  options.project_directory = options.working_directory = record.folder;
  options.profiles = {"*"};
  options.lenient = true;
  const auto loaded = compose::load(options, sources::disk());
  std::set<std::string> found;
  const auto look = [&](const std::string& path, bool certain, bool by_name) {
    if (!below(path, record.folder) || sources::disk().stat(path).kind != sources::Kind::regular) return;
    if (std::ranges::find(loaded.project->compose_files, path) != loaded.project->compose_files.end()) return;
    if (certain ? !secrets::sealed_store(sources::disk().read(path, 4U << 20U).value_or("")) : holds_secret(path, by_name)) found.insert(path.substr(record.folder.size() + 1));
  };
  for (const auto& path : loaded.project->dotenv_files) look(path, false, false);
  for (const auto& secret : loaded.project->secrets)
    if (!secret.file.empty()) look(sources::clean_path(secret.file, record.folder), true, true);
  for (const auto& service : loaded.project->services) {
    for (const auto& file : service.env_files) look(sources::clean_path(file.value, record.folder), false, false);
    for (const auto& mount : service.mounts)
      if (mount.type == compose::Mount::Type::bind) look(sources::clean_path(mount.source, record.folder), false, true);
  }
  const std::function<void(const std::string&, int)> walk = [&](const std::string& folder, int depth) {
    for (const auto& name : sources::disk().list(folder)) {
      const auto path = folder + "/" + name;
      const auto info = sources::disk().stat(path);
      if (info.kind == sources::Kind::directory && depth > 0 && !info.symlink && name != ".git") walk(path, depth - 1);
      if (info.kind == sources::Kind::regular && (is_env(name) || secret_file_name(name))) look(path, false, true);
    }
  };
  walk(record.folder, 1);
  return {found.begin(), found.end()};
}

void guard_secrets(Inventory& inventory, StackRecord& record, const std::vector<std::string>& files, const std::vector<std::string>& recipients) {
  if (files.empty()) return;
  std::string list, keys;
  for (auto& subject : inventory.subjects) {
    if (subject.what != Subject::What::project) continue;
    auto& exclude = subject.target.facts["exclude"];
    for (const auto& path : files) exclude += record.folder + "/" + path + "\n";
  }
  for (const auto& path : files) list += path + "\n";
  if (recipients.empty()) {
    record.missing = files;
    inventory.skipped.push_back({.id = "secrets", .services = {}, .reason = fmt::format("{} hold secrets in the clear, and there is no age key to seal them for: they are not saved; 'datamancy secrets migrate' seals them", fmt::join(files, ", "))});
    return;
  }
  record.sealed = files;
  for (const auto& key : recipients) keys += key + "\n";
  Subject subject;
  subject.what = Subject::What::project;
  subject.id = "secrets";
  subject.target.project = inventory.project;
  subject.target.kind = "sealed";
  subject.target.facts = {{"path", record.folder}, {"files", list}, {"recipients", keys}};
  subject.target.identity = "folder:" + record.folder;
  inventory.subjects.push_back(std::move(subject));
}

}  // namespace dm::backup
