// What preflight judges: asked of the engine, of Compose and of the machine.
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fmt/format.h>

#include "compose/labels.hpp"
#include "deploy/compose_cli.hpp"
#include "deploy/content.hpp"
#include "deploy/preflight.hpp"
#include "sources/files.hpp"

namespace dm::deploy {
namespace {

std::optional<std::uint64_t> number_of(const std::optional<std::string>& text) {
  std::uint64_t value = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

/// Whether the kernel believes its clock to be synchronised; nothing where it does not say.
std::optional<bool> clock_synchronised() {
  struct timex state {};
  if (::adjtimex(&state) < 0) return std::nullopt;
  return (state.status & STA_UNSYNC) == 0;
}

}  // namespace

Result<Surroundings> gather(engine::Engine& engine, const wiring::Wiring& wiring, const std::set<std::string, std::less<>>& services, const Deadline& deadline) {
  Surroundings out;
  const auto& project = *wiring.project;
  DM_TRY(out.engine, engine.info(deadline));
  out.now = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  out.local = engine.description().starts_with("unix:");
  if (const auto version = ComposeCli::version(deadline)) out.compose_version = *version;
  else out.compose_trouble = version.error().message;
  DM_TRY(out.networks, engine.networks({}, deadline));
  DM_TRY(const auto volumes, engine.volumes({}, deadline));
  std::map<std::string, std::string> mountpoints;
  for (const auto& volume : volumes) {
    mountpoints[volume.name] = volume.mountpoint;
    out.volumes.emplace(volume.name, volume);
  }
  DM_TRY(const auto containers, engine.containers({}, deadline));
  for (const auto& container : containers) {
    const auto owner = compose::label_of(container.labels, compose::label::kProject);
    const bool ours = owner == project.name;
    if (!ours) out.foreign.emplace(container.name, owner.empty() ? "of no project" : fmt::format("of project '{}'", owner));
    for (const auto& port : container.ports)
      if (port.outside != 0 && container.state == "running") out.published.push_back({port, container.name, ours});
  }
  for (const auto& service : project.services) {
    if (!services.contains(service.name)) continue;
    const auto name = image_of(project, service);
    if (out.images.contains(name)) continue;
    if (const auto image = engine.image(name, deadline)) out.images[name] = {image->id, image->os, image->arch};
    else if (image.error().code != Errc::not_found) return fail(image.error());
  }
  if (!out.local) return out;
  const auto room = [&](const std::string& path, const std::string& what) {
    const auto disk = host::disk(path);
    if (!disk) return;
    for (auto& known : out.rooms)
      if (known.disk.device == disk->device) {
        if (std::ranges::find(known.of, what) == known.of.end()) known.of.push_back(what);
        return;
      }
    out.rooms.push_back({*disk, {what}});
  };
  room(out.engine.root_dir, "the engine's data");
  for (const auto& volume : project.volumes) {
    if (!volume.device.empty()) {
      room(std::string(volume.device), fmt::format("volume {}", volume.key));
      if (volume.device.starts_with('/') && ::access(std::string(volume.device).c_str(), F_OK) != 0) out.missing_paths.emplace(volume.device);
    } else if (const auto found = mountpoints.find(std::string(volume.name)); found != mountpoints.end() && !found->second.empty()) {
      room(found->second, fmt::format("volume {}", volume.key));
    }
  }
  for (const auto& use : wiring.mounts) {
    if (!services.contains(wiring.service(use.service).name) || use.mount->type != compose::Mount::Type::bind) continue;
    if (!use.in_project) out.outside.try_emplace(use.host_path, sources::disk().stat(use.host_path).kind);
    else if (!use.mount->read_only && use.source.kind == sources::Kind::directory) room(std::string(use.mount->source), std::string(use.mount->source));
  }
  std::set<std::string_view> mounted;  // secrets and configs of the services that are meant
  for (const auto& service : project.services)
    if (services.contains(service.name))
      for (const auto* uses : {&service.secrets, &service.configs})
        for (const auto& use : *uses) mounted.insert(use.source);
  for (const auto* list : {&project.secrets, &project.configs})
    for (const auto& resource : *list)
      if (mounted.contains(resource.key) && !resource.file.empty() && !delivered(project, resource.file) && ::access(std::string(resource.file).c_str(), F_OK) != 0) out.missing_paths.emplace(resource.file);
  out.listening = host::listeners();
  for (const auto& service : project.services) {
    const auto id = wiring.id_of(service.name);
    const auto* product = id == wiring::kNone ? nullptr : wiring.product_of[id];
    if (product == nullptr) continue;
    for (const auto& fact : product->kernel) out.kernel[fact.setting] = number_of(host::sysctl(fact.setting));
  }
  out.memory_available = host::memory().available;
  out.clock_synchronised = clock_synchronised();
  out.gpus = host::gpus();
  out.systemd = ::access("/run/systemd/system", F_OK) == 0;
  return out;
}

}  // namespace dm::deploy
