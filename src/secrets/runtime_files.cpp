#include "secrets/runtime_files.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>

#include "base/files.hpp"
#include "secrets/crypto.hpp"
#include "secrets/sealed.hpp"
#include "secrets/sops_nested.hpp"

namespace dm::secrets {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  go_json_quote(out, text);
  return out;
}

/// A name that Compose takes for a secret and the file system for a file.
std::string safe(std::string_view text) {
  std::string out;
  for (const char c : text) out += (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ? c : '_';
  return out;
}

/// Which variables of the project made this value.
bool made_of_sealed(const compose::EnvVar& variable, const ProjectSecrets& secrets) {
  if (variable.value.node == nullptr || variable.value.node->segments == nullptr) return false;
  return std::ranges::any_of(*variable.value.node->segments, [&](const compose::Segment& segment) { return segment.kind == compose::Segment::Kind::variable && secrets.sealed(segment.variable); });
}

std::string mark_of(const ProjectSecrets& secrets, const std::vector<const FileSecret*>& files) {
  std::string all;
  for (const auto* file : files) all += fmt::format("{}\n{}\n", file->source, hex(hmac_sha256(secrets.mark_key.reveal(), file->value.reveal())));
  return hex(hmac_sha256(secrets.mark_key.reveal(), all)).substr(0, 16);
}

bool in_memory(const std::string& folder) {
  struct statfs system {};
  return ::statfs(folder.c_str(), &system) == 0 && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

}  // namespace

std::string runtime_folder(std::string_view project, const std::map<std::string, std::string, std::less<>>& environment) {
  if (::geteuid() == 0) return fmt::format("{}/datamancy/{}", in_memory("/run") || !in_memory("/dev/shm") ? "/run" : "/dev/shm", project);  // containers as hosts have /run on a disk
  const auto found = environment.find("XDG_RUNTIME_DIR");
  return found == environment.end() || found->second.empty() ? std::string{} : fmt::format("{}/datamancy/{}", found->second, project);
}

Result<FileDelivery> plan_files(const compose::Project& project, const product::Catalogue& products, const ProjectSecrets& secrets, const KeySources& keys, std::string folder) {
  FileDelivery out;
  out.folder = std::move(folder);
  const auto path_of = [&](std::string_view name) { return fmt::format("{}/{}", out.folder, name); };
  std::string services, declared;

  // Secrets that the project declares: from a sealed variable, or from a file that lies sealed beside its plain name.
  std::map<std::string_view, std::string> changed_declared;
  for (const auto& resource : project.secrets) {
    if (resource.external) continue;
    FileSecret file;
    file.source = resource.key;
    file.path = path_of("secret." + safe(resource.key));
    if (!resource.environment.empty() && secrets.sealed(resource.environment)) {
      const auto value = project.environment.find(resource.environment);
      if (value == project.environment.end()) continue;
      file.value = SecretString(value->second.value);
      declared += fmt::format("  {}:\n    environment: !reset null\n    file: {}\n", quoted(resource.key), quoted(file.path));
    } else if (!resource.file.empty() && sources::disk().stat(std::string(resource.file)).kind == sources::Kind::missing &&
               sources::disk().stat(std::string(resource.file) + ".enc").kind == sources::Kind::regular) {
      DM_TRY(auto ring, Keyring::load(keys));
      DM_TRY(const auto opened, open_sealed(std::string(resource.file) + ".enc", ring));
      DM_TRY(file.value, plain_text(opened.opened));
      declared += fmt::format("  {}:\n    file: {}\n", quoted(resource.key), quoted(file.path));
    } else {
      continue;
    }
    out.files.push_back(std::move(file));
  }

  for (const auto& service : project.services) {
    if (!service.enabled) continue;
    const auto* product = service.image ? products.by_image(service.image.value) : nullptr;
    std::string environment, uses;
    std::vector<std::size_t> own;
    for (const auto& variable : service.environment) {
      if (!made_of_sealed(variable, secrets)) continue;
      const product::FileVariable* form = nullptr;
      if (product != nullptr)
        for (const auto& one : product->file_variables)
          if (one.variable == variable.name) form = &one;
      if (form == nullptr) {
        out.environment.push_back({std::string(service.name), std::string(variable.name), product == nullptr ? "nothing is known about this image" : "the product takes no file for it"});
        continue;
      }
      if (service.env(form->file_variable) != nullptr) {
        out.environment.push_back({std::string(service.name), std::string(variable.name), fmt::format("{} is set too, and both at once stop the product", form->file_variable)});
        continue;
      }
      const auto name = fmt::format("dm_{}_{}", safe(service.name), safe(variable.name));
      FileSecret file{name, std::string(service.name), std::string(variable.name), form->file_variable, path_of(fmt::format("{}.{}", safe(service.name), safe(variable.name))), SecretString(variable.value.value)};
      environment += fmt::format("      {}: !reset null\n      {}: {}\n", quoted(variable.name), quoted(form->file_variable), quoted("/run/secrets/" + name));
      uses += fmt::format("      - {}\n", quoted(name));
      declared += fmt::format("  {}:\n    file: {}\n", quoted(name), quoted(file.path));
      own.push_back(out.files.size());
      out.files.push_back(std::move(file));
    }
    std::vector<const FileSecret*> read;
    for (const auto i : own) read.push_back(&out.files[i]);
    for (const auto& use : service.secrets)
      for (const auto& file : out.files)
        if (file.service.empty() && file.source == use.source) read.push_back(&file);
    if (read.empty()) continue;
    services += fmt::format("  {}:\n", quoted(service.name));
    if (!environment.empty()) services += "    environment:\n" + environment + "    secrets:\n" + uses;
    services += fmt::format("    labels:\n      datamancy.secrets: {}\n", quoted(mark_of(secrets, read)));
  }
  if (!services.empty() || !declared.empty()) {
    if (!services.empty()) out.override_yaml += "services:\n" + services;
    if (!declared.empty()) out.override_yaml += "secrets:\n" + declared;
  }
  return out;
}

Result<std::size_t> write_files(const FileDelivery& delivery) {
  if (delivery.files.empty()) return std::size_t{0};
  if (delivery.folder.empty()) return fail(Errc::unavailable, "there is no folder in memory for secrets: neither root nor XDG_RUNTIME_DIR");
  DM_CHECK(make_folders(delivery.folder, 0700));
  if (!in_memory(delivery.folder)) return fail(Errc::denied, fmt::format("'{}' lies on a disk; secrets are written to tmpfs only", delivery.folder));
  struct stat there {};
  if (::lstat(delivery.folder.c_str(), &there) != 0 || !S_ISDIR(there.st_mode) || there.st_uid != ::geteuid()) return fail(Errc::denied, fmt::format("'{}' is no folder of ours", delivery.folder));
  if (::chmod(delivery.folder.c_str(), 0700) != 0) return fail(errno_error(fmt::format("protect '{}'", delivery.folder), errno));
  std::size_t changed = 0;
  std::set<std::string, std::less<>> wanted;
  for (const auto& file : delivery.files) {
    wanted.emplace(sources::file_name(file.path));
    const auto before = sources::disk().read(file.path, kMaxSealed);
    if (before && *before == file.value.reveal()) continue;
    DM_CHECK(write_atomic(file.path, file.value.reveal(), 0444));
    ++changed;
  }
  for (const auto& name : sources::disk().list(delivery.folder))
    if (!wanted.contains(name)) ::unlink((delivery.folder + "/" + name).c_str());
  return changed;
}

std::vector<std::string> main_files(const compose::Project& project, const compose::Options& options) {
  if (!options.files.empty()) return options.files;
  if (auto named = options.environment.find("COMPOSE_FILE"); named != options.environment.end() && !named->second.empty()) {
    // Their count is unknown here only through includes, which follow them; take as many as are named.
    const auto count = static_cast<std::size_t>(std::ranges::count(named->second, ':')) + 1;
    return {project.compose_files.begin(), project.compose_files.begin() + static_cast<std::ptrdiff_t>(std::min(count, project.compose_files.size()))};
  }
  constexpr std::array<std::string_view, 8> kDefaults{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml", "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"};
  std::vector<std::string> out;
  for (const auto& path : project.compose_files) {
    if (out.size() == 2 || sources::parent_path(path) != project.folder || std::ranges::find(kDefaults, sources::file_name(path)) == kDefaults.end()) break;
    out.push_back(path);
  }
  return out.empty() && !project.compose_files.empty() ? std::vector<std::string>{project.compose_files.front()} : out;
}

}  // namespace dm::secrets
