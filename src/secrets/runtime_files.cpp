#include "secrets/runtime_files.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <set>

#include "base/files.hpp"
#include "secrets/crypto.hpp"
#include "secrets/sealed.hpp"
#include "secrets/sops_nested.hpp"
#include "wiring/secret_environment.hpp"

namespace dm::secrets {
namespace {

std::string quote(std::string_view text) {
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

/// Part of a variable's name.
std::string safe_variable(std::string_view text) {
  auto out = safe(text);
  std::ranges::replace(out, '-', '_');
  return out;
}

/// The sealed file in which a service's variable stands, by its `env_file:`; null where it came another way.
const ProjectSecrets::File* sealed_line(const compose::Project& project, const compose::EnvVar& variable, const ProjectSecrets& secrets) {
  if (!variable.from_env_file || variable.value.where().file == sources::kNoFile) return nullptr;
  return secrets.file(project.texts.at(variable.value.where().file).path);
}

/// Sealed variables of the project that the line of a plain env file refers to.
std::vector<std::string_view> sealed_references(const compose::Project& project, const compose::EnvVar& variable, const ProjectSecrets& secrets) {
  auto out = line_references(project, variable);
  std::erase_if(out, [&](std::string_view name) { return !secrets.sealed(name); });
  return out;
}

/// Which variables of the project made this value.
bool made_of_sealed(const compose::EnvVar& variable, const ProjectSecrets& secrets) {
  if (variable.value.node == nullptr || variable.value.node->segments == nullptr) return false;
  return std::ranges::any_of(*variable.value.node->segments, [&](const compose::Segment& segment) { return segment.kind == compose::Segment::Kind::variable && secrets.sealed(segment.variable); });
}

/// What the label says of one value. The key keeps it from being guessed.
std::string mark(std::string_view key, std::string_view name, const SecretString& value) {
  SecretString text(std::string(name) + '\0');
  text.append(value.reveal());
  return hex(hmac_sha256(key, text.reveal())).substr(0, 16);
}

/// "0400" as Compose prints it.
int mode_of(std::string_view text) {
  int out = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out, 8);
  return text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size() ? 0444 : out & 0777;
}

/// A number; names of users mean something in the image only, where we cannot look.
Result<int> owner_of(std::string_view text, std::string_view what, std::string_view service, std::string_view secret) {
  if (text.empty()) return -1;
  int out = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || out < 0)
    return fail(Errc::invalid_input, fmt::format("services.{}.secrets: {} of '{}' is '{}'; a secret as a file wants a number there", service, what, secret, text));
  return out;
}

bool in_memory(const std::string& folder) {
  struct statfs system {};
  return ::statfs(folder.c_str(), &system) == 0 && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

}  // namespace

std::vector<std::string_view> line_references(const compose::Project& project, const compose::EnvVar& variable) {
  std::vector<std::string_view> out;
  const auto where = variable.value.where();
  if (!variable.from_env_file || where.file == sources::kNoFile) return out;
  const auto line = std::string_view(project.texts.at(where.file).content).substr(where.span.begin, where.span.end - where.span.begin);
  const auto named = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  for (auto at = line.find('$'); at != std::string_view::npos; at = line.find('$', at + 1)) {
    const auto from = at + (line.substr(at + 1).starts_with('{') ? 2 : 1);
    auto end = from;
    while (end < line.size() && named(line[end])) ++end;
    if (end > from) out.push_back(line.substr(from, end - from));
  }
  return out;
}

std::string runtime_folder(std::string_view project, const std::map<std::string, std::string, std::less<>>& environment) {
  if (::geteuid() == 0) return fmt::format("{}/datamancy/{}", in_memory("/run") || !in_memory("/dev/shm") ? "/run" : "/dev/shm", project);  // containers as hosts have /run on a disk
  const auto found = environment.find("XDG_RUNTIME_DIR");
  return found == environment.end() || found->second.empty() ? std::string{} : fmt::format("{}/datamancy/{}", found->second, project);
}

namespace {

/// Collects files and override, service by service.
class Planner {
 public:
  Planner(const compose::Project& project, const product::Catalogue& products, const ProjectSecrets& secrets, std::string folder) : project_(project), products_(products), secrets_(secrets) {
    out_.folder = std::move(folder);
    mark_key_ = SecretString(secrets.mark_key.reveal());
  }

  Result<FileDelivery> run(const KeySources& keys) {
    DM_CHECK(declare(keys));
    for (const auto& service : project_.services) DM_CHECK(add(service));
    if (!services_.empty()) out_.override_yaml += "services:\n" + services_;
    if (!declared_.empty()) out_.override_yaml += "secrets:\n" + declared_;
    return std::move(out_);
  }

 private:
  std::string path_of(std::string_view name) const { return fmt::format("{}/{}", out_.folder, name); }

  /// Secrets that the project declares: from a sealed variable, or from a file that lies sealed beside its plain name.
  Result<void> declare(const KeySources& keys) {
    for (const auto& resource : project_.secrets) {
      if (resource.external) continue;
      FileSecret file;
      file.source = resource.key;
      file.path = path_of("secret." + safe(resource.key));
      if (!resource.environment.empty() && secrets_.sealed(resource.environment)) {
        const auto value = project_.environment.find(resource.environment);
        if (value == project_.environment.end()) continue;
        file.value = SecretString(value->second.value);
        declared_ += fmt::format("  {}:\n    environment: !reset null\n    file: {}\n", quote(resource.key), quote(file.path));
      } else if (!resource.file.empty() && sources::disk().stat(std::string(resource.file)).kind == sources::Kind::missing &&
                 sources::disk().stat(std::string(resource.file) + ".enc").kind == sources::Kind::regular) {
        DM_TRY(auto ring, Keyring::load(keys));
        DM_TRY(const auto opened, open_sealed(std::string(resource.file) + ".enc", ring));
        DM_TRY(file.value, plain_text(opened.opened));
        // Without a sealed env file there is no key for marks yet; without a key a mark would be a plain hash of the secret.
        if (mark_key_.empty()) mark_key_ = hkdf(opened.opened.data_key.reveal(), {}, "datamancy/secrets/mark");
        declared_ += fmt::format("  {}:\n    file: {}\n", quote(resource.key), quote(file.path));
      } else {
        continue;
      }
      out_.files.push_back(std::move(file));
    }
    declared_count_ = out_.files.size();
    return {};
  }

  Result<void> add(const compose::Service& service) {
    std::string environment, uses;
    std::map<std::string, std::string> marks;  // name -> mark
    const auto* product = wiring::product_of(project_, service, products_);
    const bool rewritten = service.enabled && of_sealed_file(service);
    for (const auto& variable : service.environment) {
      const auto* file = sealed_line(project_, variable, secrets_);
      if (file != nullptr && file->has(rotated_name(variable.name))) continue;  // of a rotation under way: for no container
      const auto references = sealed_references(project_, variable, secrets_);
      const bool file_form = file != nullptr || !references.empty() || made_of_sealed(variable, secrets_) ? as_file(service, variable, product, environment, uses, marks) : false;
      if (!variable.from_env_file || !rewritten) continue;
      if (!file_form) environment += fmt::format("      {}: {}\n", quote(variable.name), quote("${" + hand_over(service, variable) + "}"));
      if (file != nullptr) {
        const auto name = fmt::format("{}:{}", mark_file(file->path, project_.folder), variable.name);
        marks.emplace(name, mark((file->mark_key.empty() ? mark_key_ : file->mark_key).reveal(), name, SecretString(variable.value.value)));
      }
      for (const auto name : references)
        if (const auto value = project_.environment.find(name); value != project_.environment.end()) marks.emplace(name, mark(mark_key_.reveal(), name, SecretString(value->second.value)));
    }
    for (const auto& use : service.secrets) DM_CHECK(declared_use(service, use, uses, marks));
    for (const auto& use : project_.variables)
      if (use.service == service.name && secrets_.sealed(use.name))
        if (const auto value = project_.environment.find(use.name); value != project_.environment.end())
          marks.emplace(use.name, mark(mark_key_.reveal(), use.name, SecretString(value->second.value)));
    if (marks.empty()) return {};
    std::string text;
    for (const auto& [name, one] : marks) text += fmt::format("{}{}:{}", text.empty() ? "" : " ", one, name);
    services_ += fmt::format("  {}:\n", quote(service.name));
    if (rewritten) services_ += "    env_file: !reset null\n";
    if (!environment.empty()) services_ += "    environment:\n" + environment;
    if (!uses.empty()) services_ += "    secrets:\n" + uses;
    services_ += fmt::format("    labels:\n      {}: {}\n", kMarks, quote(text));
    return {};
  }

  /// Whether Compose cannot be left to read the env files of a service: one is sealed, or a line of one is made of a sealed variable, which would reach the
  /// container without a mark.
  bool of_sealed_file(const compose::Service& service) const {
    const bool names = std::ranges::any_of(service.env_files, [&](const compose::Text& file) { return secrets_.file(sources::clean_path(file.value, project_.folder)) != nullptr; });
    return names || std::ranges::any_of(service.environment, [&](const compose::EnvVar& variable) { return !sealed_references(project_, variable, secrets_).empty(); });
  }

  /// A name for the value of a service's variable, the same in every run as long as the services have theirs.
  std::string hand_over(const compose::Service& service, const compose::EnvVar& variable) {
    auto name = fmt::format("DM_ENV_{}__{}", safe_variable(service.name), safe_variable(variable.name));
    while (!handed_.insert(name).second) name += '_';
    out_.handed.emplace_back(name, SecretString(variable.value.value));
    return name;
  }

  /// A variable of the container: as a file where its product takes one, else false.
  bool as_file(const compose::Service& service, const compose::EnvVar& variable, const product::Product* product, std::string& environment, std::string& uses, std::map<std::string, std::string>& marks) {
    const auto stays = [&](std::string why) {  // of a service that is off nothing reaches anybody
      if (service.enabled) out_.environment.push_back({std::string(service.name), std::string(variable.name), std::move(why)});
      return false;
    };
    const auto* form = product == nullptr ? nullptr : product->file_form(variable.name);
    if (form == nullptr) return stays(product == nullptr ? "nothing is known about this image" : "the product takes no file for it");
    if (service.env(form->file_variable) != nullptr) return stays(fmt::format("{} is set too, and both at once stop the product", form->file_variable));
    const auto name = fmt::format("dm_{}_{}", safe(service.name), safe(variable.name));
    FileSecret file;
    file.source = name;
    file.service = service.name;
    file.variable = variable.name;
    file.file_variable = form->file_variable;
    file.path = path_of(fmt::format("{}.{}", safe(service.name), safe(variable.name)));
    file.value = SecretString(variable.value.value);
    if (!variable.from_env_file) environment += fmt::format("      {}: !reset null\n", quote(variable.name));
    environment += fmt::format("      {}: {}\n", quote(form->file_variable), quote("/run/secrets/" + name));
    uses += fmt::format("      - {}\n", quote(name));
    declared_ += fmt::format("  {}:\n    file: {}\n", quote(name), quote(file.path));
    // What is more than one sealed variable (a URL with a password) can change by its other parts, too.
    const bool whole = variable.from_env_file || std::ranges::any_of(*variable.value.node->segments, [&](const compose::Segment& segment) {
      const auto value = segment.kind == compose::Segment::Kind::variable ? project_.environment.find(segment.variable) : project_.environment.end();
      return value != project_.environment.end() && value->second.value == variable.value.value;
    });
    if (!whole) marks.emplace(file.variable, mark(mark_key_.reveal(), file.variable, file.value));
    out_.files.push_back(std::move(file));
    return true;
  }

  /// A declared secret in use: the one file for all, or one of its own where owner or mode is given, which Compose does not honour for files.
  Result<void> declared_use(const compose::Service& service, const compose::FileUse& use, std::string& uses, std::map<std::string, std::string>& marks) {
    for (std::size_t i = 0; i < declared_count_; ++i) {
      if (out_.files[i].source != use.source) continue;
      marks.emplace(out_.files[i].source, mark(mark_key_.reveal(), out_.files[i].source, out_.files[i].value));
      if (use.uid.empty() && use.gid.empty() && use.mode.empty()) return {};
      FileSecret own;
      own.source = fmt::format("dm_{}_secret_{}", safe(service.name), safe(use.source));
      own.service = service.name;
      own.path = path_of(fmt::format("{}.secret.{}", safe(service.name), safe(use.source)));
      own.value = SecretString(out_.files[i].value.reveal());
      DM_TRY(own.uid, owner_of(use.uid, "uid", service.name, use.source));
      DM_TRY(own.gid, owner_of(use.gid, "gid", service.name, use.source));
      own.mode = mode_of(use.mode);
      uses += fmt::format("      - source: {}\n        target: {}\n", quote(own.source), quote(use.target.empty() ? use.source : use.target));
      declared_ += fmt::format("  {}:\n    file: {}\n", quote(own.source), quote(own.path));
      out_.files.push_back(std::move(own));
      return {};
    }
    return {};
  }

  const compose::Project& project_;
  const product::Catalogue& products_;
  const ProjectSecrets& secrets_;
  SecretString mark_key_;
  FileDelivery out_;
  std::size_t declared_count_ = 0;
  std::set<std::string> handed_;
  std::string services_, declared_;
};

/// Owner and mode as wanted; whether they had to be changed.
Result<bool> owned(const FileSecret& file) {
  struct stat there {};
  if (::lstat(file.path.c_str(), &there) != 0) return fail(errno_error(fmt::format("look at '{}'", file.path), errno));
  const auto uid = file.uid < 0 ? ::geteuid() : static_cast<uid_t>(file.uid);
  const auto gid = file.gid < 0 ? ::getegid() : static_cast<gid_t>(file.gid);
  bool changed = false;
  if (there.st_uid != uid || there.st_gid != gid) {
    if (::lchown(file.path.c_str(), uid, gid) != 0)
      return fail(Errc::denied, fmt::format("'{}' cannot be given to {}:{} (services.{}.secrets): only root may; run as root, or leave uid and gid out", file.path, uid, gid, file.service));
    changed = true;
  }
  if (static_cast<int>(there.st_mode & 07777U) != file.mode || changed) {
    changed = changed || static_cast<int>(there.st_mode & 07777U) != file.mode;
    if (::chmod(file.path.c_str(), static_cast<mode_t>(file.mode)) != 0) return fail(errno_error(fmt::format("protect '{}'", file.path), errno));
  }
  return changed;
}

}  // namespace

Result<FileDelivery> plan_files(const compose::Project& project, const product::Catalogue& products, const ProjectSecrets& secrets, const KeySources& keys, std::string folder) {
  return Planner(project, products, secrets, std::move(folder)).run(keys);
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
  for (const auto& file : delivery.files) {
    const auto before = sources::disk().read(file.path, kMaxSealed);
    const bool same = before && *before == file.value.reveal();
    if (!same) DM_CHECK(write_atomic(file.path, file.value.reveal(), 0400));
    DM_TRY(const bool given, owned(file));
    if (!same || given) ++changed;
  }
  return changed;
}

std::string mark_file(std::string_view path, const std::string& folder) {
  std::string out(sources::relative_to(path, folder));
  std::ranges::replace_if(out, [](char c) { return c == ' ' || c == ':'; }, '_');
  return out;
}

std::map<std::string, std::string_view> read_marks(std::string_view label) {
  std::map<std::string, std::string_view> out;
  while (!label.empty()) {
    const auto one = label.substr(0, label.find(' '));
    label.remove_prefix(std::min(one.size() + 1, label.size()));
    if (const auto cut = one.find(':'); cut != std::string_view::npos) out.emplace(one.substr(cut + 1), one.substr(0, cut));
  }
  return out;
}

Result<void> within_reach(const FileDelivery& delivery, std::string_view engine) {
  const bool here = engine.starts_with("unix:") || engine.starts_with("tcp://127.") || engine.starts_with("tcp://localhost") || engine.starts_with("tcp://[::1]");
  if (delivery.files.empty() || here) return {};
  return fail(Errc::unsupported, fmt::format("the engine at {} is another machine's and cannot mount secrets that lie in the memory of this one ({} files in {}); run datamancy on that machine "
                                             "(over ssh), with the project and the key there",
                                             engine, delivery.files.size(), delivery.folder));
}

std::size_t prune_files(const FileDelivery& delivery, const std::set<std::string, std::less<>>& mounted) {
  std::size_t gone = 0;
  if (delivery.folder.empty()) return gone;
  for (const auto& name : sources::disk().list(delivery.folder)) {
    const auto path = delivery.folder + "/" + name;
    const bool wanted = std::ranges::find(delivery.files, path, &FileSecret::path) != delivery.files.end();
    const bool used = std::ranges::any_of(mounted, [&](const std::string& source) { return source == path || source == delivery.folder; });
    if (!wanted && !used && sources::disk().stat(path).kind == sources::Kind::regular && ::unlink(path.c_str()) == 0) ++gone;
  }
  return gone;
}

}  // namespace dm::secrets
