#include "scaffold/run_folder.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/files.hpp"

namespace dm::scaffold {
namespace {

constexpr std::string_view kSuffix = ".tmpl";

void collect(const sources::Files& files, const std::string& folder, const std::string& below, std::vector<std::string>& out, int depth = 0) {
  if (depth > 8) return;
  for (const auto& name : files.list(folder)) {
    if (name == ".git" || name == ".datamancy" || name == "node_modules") continue;
    const auto path = folder + "/" + name;
    const auto relative = below.empty() ? name : below + "/" + name;
    const auto stat = files.stat(path);
    if (stat.kind == sources::Kind::directory && !stat.symlink) collect(files, path, relative, out, depth + 1);
    else if (stat.kind == sources::Kind::regular && name.ends_with(kSuffix) && name.size() > kSuffix.size()) out.push_back(relative);
  }
}

}  // namespace

bool Values::declared(std::string_view name) const {
  return schema.setting(name) != nullptr || schema.secret(name) != nullptr || settings.contains(name) || secrets.contains(name);
}

Rendering render_project(const sources::Files& files, const std::string& folder, const Values& values) {
  Rendering out;
  const auto lookup = [&](std::string_view name) -> std::optional<std::string_view> {
    if (const auto secret = values.secrets.find(name); secret != values.secrets.end()) return secret->second.reveal();
    if (const auto setting = values.settings.find(name); setting != values.settings.end()) return setting->second.reveal();
    return values.declared(name) ? std::optional<std::string_view>("") : std::nullopt;
  };
  std::vector<std::string> known;
  for (const auto& one : values.schema.settings) known.push_back(one.name);
  for (const auto& one : values.schema.secrets) known.push_back(one.name);
  for (const auto& [name, value] : values.settings) known.push_back(name);
  for (const auto& [name, value] : values.secrets) known.push_back(name);

  std::vector<std::string> names;
  collect(files, folder, "", names);
  std::ranges::sort(names);
  for (const auto& name : names) {
    const auto text = files.read(folder + "/" + name);
    if (!text) {
      out.problems.push_back({name, 1, 1, text.error().message});
      continue;
    }
    auto rendered = templates::render(name, *text, lookup);
    for (auto& problem : rendered.problems) {
      constexpr std::string_view kUndeclared = " is not declared";
      if (problem.message.ends_with(kUndeclared)) {
        const auto word = problem.message.substr(9, problem.message.size() - 9 - kUndeclared.size());
        if (const auto near = templates::nearest(word, known); !near.empty()) problem.message += fmt::format(" (is {} meant?)", near);
      }
      out.problems.push_back(std::move(problem));
    }
    out.files.push_back({"config/" + name.substr(0, name.size() - kSuffix.size()), secrets::SecretString::take(std::move(rendered.text)), std::move(rendered.names)});
  }
  for (const auto& secret : values.schema.secrets) {
    const auto value = values.secrets.find(secret.name);
    const bool set = value != values.secrets.end() && !value->second.empty();
    if (!set && secret.generator != Secret::Generator::given) {
      out.problems.push_back({"variables.yaml", 1, 1, fmt::format("secret {} is not set; 'datamancy secrets set {}' sets it", secret.name, secret.name)});
      continue;
    }
    out.files.push_back({"secrets/" + secret.name, set ? secrets::SecretString(value->second.reveal()) : secrets::SecretString(), {secret.name}});
  }
  std::ranges::sort(out.files, {}, &RunFile::path);
  return out;
}

templates::Hashes hashes_of(const Rendering& rendering, const std::string& key) {
  templates::Hashes out;
  for (const auto& file : rendering.files) out[file.path] = templates::keyed_hash(key, file.bytes.reveal());
  return out;
}

templates::Hashes present_hashes(const std::string& run, const std::string& key, const templates::Hashes& fresh, const templates::Hashes& recorded) {
  templates::Hashes out;
  for (const auto* list : {&fresh, &recorded})
    for (const auto& [name, hash] : *list) {
      if (out.contains(name)) continue;
      auto bytes = sources::disk().read(run + "/" + name);
      if (!bytes) continue;
      out[name] = templates::keyed_hash(key, *bytes);
      secrets::wipe(*bytes);
    }
  return out;
}

bool in_memory_only(const std::string& folder) {
  auto path = folder;
  struct statfs info{};
  while (::statfs(path.c_str(), &info) != 0) {
    if (errno != ENOENT || path.size() <= 1) return false;
    path = sources::parent_path(path);
  }
  return info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC;
}

Result<std::vector<std::string>> write_run(const std::string& run, const Rendering& rendering, const templates::Hashes& recorded) {
  if (!in_memory_only(run)) return fail(Errc::unsupported, fmt::format("'{}' is on a disk, and secrets are written into memory only; choose a folder on a tmpfs, such as /run/datamancy/NAME", run));
  DM_CHECK(make_folders(run, 0700));
  if (::chmod(run.c_str(), 0700) != 0) return fail(Errc::denied, fmt::format("'{}': {}", run, std::strerror(errno)));
  std::vector<std::string> changed;
  for (const auto& file : rendering.files) {
    const auto path = run + "/" + file.path;
    // A container that started before the file was there left a folder in its place.
    if (sources::disk().stat(path).kind == sources::Kind::directory && ::rmdir(path.c_str()) != 0) return fail(Errc::conflict, fmt::format("'{}' is a folder: a container was started before this file was there; stop it and remove the folder", path));
    auto old = sources::disk().read(path);
    const bool same = old && *old == file.bytes.reveal();
    if (old) secrets::wipe(*old);
    if (same) continue;
    DM_CHECK(make_folders(sources::parent_path(path), 0755));
    DM_CHECK(write_atomic(path, file.bytes.reveal(), 0444));
    changed.push_back(file.path);
  }
  for (const auto& [name, hash] : recorded) {
    if (std::ranges::find(rendering.files, name, &RunFile::path) != rendering.files.end() || name.find("..") != std::string::npos) continue;
    if (::unlink((run + "/" + name).c_str()) == 0) changed.push_back(name);
  }
  return changed;
}

}  // namespace dm::scaffold
