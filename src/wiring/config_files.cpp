#include <map>
#include <string>

#include "wiring/steps.hpp"

namespace dm::wiring {
namespace {

constexpr std::uint64_t kLargest = 1U << 20U;      // configuration is small; data is not read
constexpr std::size_t kFilesPerFolder = 64;

class Opener {
 public:
  Opener(Wiring& wiring, Project& project) : wiring_(wiring), project_(project) {}

  void open(ServiceId id, const std::string& path, std::string_view target, const compose::Mount* mount) {
    const auto* product = wiring_.product_of[id];
    const auto format = format_of(path, target, product != nullptr ? std::string_view(product->id) : std::string_view());
    if (format.empty()) return;
    const auto file = project_.texts.open(path, kLargest);
    if (!file) return;  // missing, too large, not ours to read: others speak of that
    wiring_.config_files.push_back({id, path, *file, std::string(format), mount});
  }

  void mount(ServiceId id, const compose::Mount& mount) {
    if (mount.type != compose::Mount::Type::bind || mount.source.empty()) return;
    const auto inside = project_.folder == "/" ? project_.folder : project_.folder + "/";
    if (!mount.source.starts_with(inside)) return;  // only what belongs to the project
    const std::string path(mount.source);
    const auto found = stats_.try_emplace(path);
    if (found.second) found.first->second = project_.texts.files().stat(path);
    const auto kind = found.first->second.kind;
    if (kind == sources::Kind::regular) open(id, path, mount.target, &mount);
    // Synapse writes its keys beside its file of settings, which is the one of the folder that is read here.
    const auto* product = wiring_.product_of[id];
    if (kind == sources::Kind::directory && product != nullptr && product->id == "synapse" && mount.target == "/data") open(id, path + "/homeserver.yaml", "/data/homeserver.yaml", &mount);
    if (kind != sources::Kind::directory || !(mount.read_only || mount.target.find("conf") != std::string_view::npos ||
                                              mount.target.starts_with("/etc/")))
      return;
    std::size_t count = 0;
    for (const auto& name : project_.texts.files().list(path)) {
      if (++count > kFilesPerFolder) break;
      const auto inner = path + "/" + name;
      if (project_.texts.files().stat(inner).kind == sources::Kind::regular) open(id, inner, std::string(mount.target) + "/" + name, &mount);
    }
  }

 private:
  Wiring& wiring_;
  Project& project_;
  std::map<std::string, sources::Stat> stats_;
};

}  // namespace

void find_config_files(Wiring& wiring, Project& project) {
  Opener opener(wiring, project);
  std::map<std::string_view, std::string_view> configs;
  for (const auto& config : project.configs) configs.emplace(config.key, config.file);
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    const Service& service = project.services[id];
    for (const auto& mount : service.mounts) opener.mount(id, mount);
    for (const auto& use : service.configs)
      if (const auto config = configs.find(use.source); config != configs.end() && !config->second.empty())
        opener.open(id, std::string(config->second), use.target, nullptr);
  }
}

std::vector<ConfigText> config_texts(const Wiring& wiring) {
  std::vector<ConfigText> out;
  std::map<ServiceId, std::vector<std::string_view>> upstreams;
  const auto& texts = wiring.project->texts;
  for (const auto& file : wiring.config_files)
    if (file.format == "nginx") nginx_upstreams(texts.at(file.file).content, upstreams[file.service]);
  std::map<sources::FileId, std::vector<ConfigHost>> read;  // many services may mount one file
  for (const auto& file : wiring.config_files) {
    const auto content = std::string_view(texts.at(file.file).content);
    if (file.format == "nginx") {
      out.push_back({file.service, file.file, hosts_in_config(file.format, content, upstreams[file.service])});
      continue;
    }
    const auto [known, fresh] = read.try_emplace(file.file);
    if (fresh) known->second = hosts_in_config(file.format, content, {});
    out.push_back({file.service, file.file, known->second});
  }
  return out;
}

}  // namespace dm::wiring
