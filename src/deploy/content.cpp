#include "deploy/content.hpp"

#include <fmt/format.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "base/files.hpp"
#include "secrets/runtime_files.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::deploy {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostFiles = 500;
constexpr std::size_t kMostBytes = 8U << 20U;
constexpr std::size_t kKeepBytes = 256U << 10U;

std::optional<std::string> read_file(const std::string& path, std::size_t most) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string out(most + 1, '\0');
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  out.resize(static_cast<std::size_t>(in.gcount()));
  if (out.size() > most) return std::nullopt;
  return out;
}

/// Names and contents of a tree in a fixed order; nothing where it is too large.
std::optional<std::string> read_tree(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error); !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->path().filename() == ".git") it.disable_recursion_pending();
    if (!it->is_regular_file(error)) continue;
    names.push_back(it->path().string());
    if (names.size() > kMostFiles) return std::nullopt;
  }
  std::ranges::sort(names);
  std::string out;
  for (const auto& name : names) {
    const auto text = read_file(name, kMostBytes);
    if (!text) return std::nullopt;
    out += fmt::format("{}\n{}\n", name, text->size());
    out += *text;
    if (out.size() > kMostBytes) return std::nullopt;
  }
  return out;
}

bool inside(std::string_view path, std::string_view folder) { return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/'; }

/// What Compose itself puts into the container; nothing where it is a file, or external.
std::optional<std::string> inline_content(const compose::Project& project, const compose::Resource& resource) {
  const auto* content = resource.node != nullptr ? resource.node->find("content") : nullptr;
  if (content != nullptr && content->is_string()) return std::string(content->text);
  const auto* name = resource.node != nullptr ? resource.node->find("environment") : nullptr;
  if (name == nullptr || !name->is_string()) return std::nullopt;
  const auto value = project.environment.find(name->text);
  return value == project.environment.end() ? std::nullopt : std::optional(value->second.value);
}

bool holds_secret(std::string_view text) {
  if (text.find("PRIVATE KEY") != std::string_view::npos) return true;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    if (sensitive::mask_line(line) != line) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

}  // namespace

bool delivered(const compose::Project& project, std::string_view path) {
  return path.find(fmt::format("/datamancy/{}/", project.name)) != std::string_view::npos && std::ranges::any_of(project.services, [](const compose::Service& service) {
           return std::ranges::any_of(service.labels, [](const auto& label) { return label.first == secrets::kMarks; });
         });
}

Result<std::string> digest_key(const std::string& folder) {
  const auto path = folder + "/digest.key";
  if (auto present = read_file(path, 64); present && present->size() == 32) return *std::move(present);
  std::string key(32, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1) return fail(Errc::failed, "no random bytes for the key of the digests");
  DM_CHECK(write_atomic(path, key, 0600));
  return key;
}

std::string keyed_digest(std::string_view key, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out.data(), &size) == nullptr)
    throw std::runtime_error("HMAC-SHA-256 is not available");
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", out[i]);
  return text;
}

std::vector<Mounted> mounted(const wiring::Wiring& wiring) {
  const auto& project = *wiring.project;
  std::vector<Mounted> out;
  const auto resources = [&](const compose::Service& service, const std::vector<compose::FileUse>& uses, const std::vector<compose::Resource>& list, bool secret) {
    for (const auto& use : uses)
      for (const auto& resource : list) {
        if (resource.key != use.source) continue;
        const auto* what = secret ? "secret" : "config";
        if (!resource.file.empty()) {
          if (!(secret && delivered(project, resource.file))) out.push_back({std::string(service.name), std::string(resource.file), what, false, secret, {}});
        } else if (auto content = inline_content(project, resource)) {
          out.push_back({std::string(service.name), fmt::format("{} {}", what, use.source), what, false, secret, std::move(content)});
        }
      }
  };
  std::set<std::pair<wiring::ServiceId, const compose::Mount*>> configuration;
  for (const auto& file : wiring.config_files)
    if (file.mount != nullptr && !file.format.empty()) configuration.emplace(file.service, file.mount);
  for (const auto& service : project.services) {
    if (!service.enabled) continue;
    resources(service, service.configs, project.configs, false);
    resources(service, service.secrets, project.secrets, true);
  }
  for (const auto& use : wiring.mounts) {
    const auto& service = wiring.service(use.service);
    if (!service.enabled || use.mount == nullptr || use.mount->type != compose::Mount::Type::bind) continue;
    if (use.mount->target.starts_with("/docker-entrypoint-initdb.d")) continue;
    const std::string path(use.mount->source);
    if (use.source.kind == sources::Kind::regular) {
      if (use.mount->read_only || configuration.contains({use.service, use.mount})) out.push_back({std::string(service.name), path, "mount", false, false, {}});
    } else if (use.source.kind == sources::Kind::directory && use.mount->read_only && inside(path, project.folder)) {
      out.push_back({std::string(service.name), path, "mount", true, false, {}});
    }
  }
  return out;
}

Digests digests(const std::vector<Mounted>& list, std::string_view key) {
  Digests out;
  std::map<std::string, std::string> by_path;
  for (const auto& item : list) {
    auto found = by_path.find(item.path);
    if (found == by_path.end()) {
      const auto content = item.inline_content ? item.inline_content : item.folder ? read_tree(item.path) : read_file(item.path, kMostBytes);
      found = by_path.emplace(item.path, content ? keyed_digest(key, *content) : std::string()).first;
      if (!content) out.left_out.push_back(item.path);
    }
    if (!found->second.empty()) out.of[item.service][item.path] = found->second;
  }
  return out;
}

std::map<std::string, std::int64_t> modified(const std::vector<Mounted>& list) {
  std::map<std::string, std::int64_t> out;
  const auto look = [](const std::string& path) -> std::int64_t {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mtime : 0;
  };
  for (const auto& item : list) {
    auto& latest = out[item.path];
    latest = std::max(latest, look(item.path));
    std::error_code error;
    std::size_t seen = 0;
    if (item.folder)
      for (auto it = fs::recursive_directory_iterator(item.path, fs::directory_options::skip_permission_denied, error);
           !error && it != fs::recursive_directory_iterator() && ++seen < kMostFiles; it.increment(error))
        latest = std::max(latest, look(it->path().string()));
  }
  return out;
}

ContentChange compare_content(const Digests& now, const std::map<std::string, std::map<std::string, std::string>>& known, const std::vector<Container>& containers,
                              const std::map<std::string, std::int64_t>& modified) {
  ContentChange out;
  for (const auto& [service, files] : now.of) {
    for (const auto& [path, digest] : files) {
      for (const auto& container : containers) {
        if (container.service != service || container.one_off) continue;
        const auto record = known.find(container.id);
        const auto before = record == known.end() ? decltype(record->second.find(path)){} : record->second.find(path);
        if (record != known.end() && before != record->second.end()) {
          if (before->second != digest) out.changed[service].push_back(path);
          break;
        }
        const auto when = modified.find(path);
        if (when != modified.end() && when->second > container.created)
          out.notes.push_back(fmt::format("{}: {} is younger than its container, and nobody recorded what it held when that was created; --recreate {} takes it up", service, path, service));
        break;
      }
    }
  }
  return out;
}

std::vector<state::RevisionFile> kept_files(const std::vector<Mounted>& list, std::string_view key) {
  std::vector<state::RevisionFile> out;
  std::set<std::string> seen;
  for (const auto& item : list) {
    if (item.folder || item.inline_content || !seen.insert(item.path).second) continue;  // the model has what is in it, or the name of its variable
    const auto content = read_file(item.path, kMostBytes);
    if (!content) continue;
    state::RevisionFile file{.path = item.path, .digest = keyed_digest(key, *content)};
    if (!item.secret && content->size() <= kKeepBytes && content->find('\0') == std::string::npos && !holds_secret(*content)) {
      file.kept = true;
      file.content = *content;
    }
    out.push_back(std::move(file));
  }
  return out;
}

}  // namespace dm::deploy
