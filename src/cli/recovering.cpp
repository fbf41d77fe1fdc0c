#include "cli/recovering.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <set>

#include "base/files.hpp"
#include "cli/deploying.hpp"
#include "compose/labels.hpp"
#include "recover/bring_back.hpp"
#include "recover/isolate.hpp"

namespace dm::cli {
namespace {

using recover::Kind;
using recover::Step;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void record(Rebuild& rebuild, const Step& step, std::string what, Clock::time_point begin, const Result<recover::Back>& back) {
  Recovered line{std::string(recover::to_string(step.kind)), std::move(what), back ? state::Outcome::verified : state::Outcome::failed, back ? back->detail : back.error().describe(), since(begin)};
  if (rebuild.tell) rebuild.tell(line);
  rebuild.done.push_back(std::move(line));
}

/// Moves a folder that is not empty to a name beside it, where that was agreed to.
Result<void> make_room(const Rebuild& rebuild, const std::string& folder) {
  if (sources::disk().list(folder).empty() || rebuild.keep_suffix.empty()) return {};
  const auto kept = folder + "." + rebuild.keep_suffix;
  if (::rename(folder.c_str(), kept.c_str()) != 0) return fail(errno_error(fmt::format("move {} to {}", folder, kept), errno));
  return {};
}

/// A session for the rebuilt project; messages of its loading go to standard error.
Result<void> open_rebuilt(Args& args, Session& session, std::vector<std::string> names, bool dependencies) {
  int exit = kFailed;
  if (!open_session(args, std::move(names), session, exit, dependencies)) return fail(Errc::failed, "the project cannot be loaded; see above");
  return {};
}

/// The volume of the rebuilt project that stands for `name` of the old one; "" = there is none. One without a name is what the service's new container has there.
std::string volume_now(const Rebuild& rebuild, const compose::Project& project, const std::string& name, const std::vector<engine::ContainerSummary>& containers, const std::set<std::string>& taken) {
  for (const auto& then : rebuild.run.stack.volumes) {
    if (then.name != name) continue;
    if (!then.key.empty())
      if (const auto* volume = project.volume(then.key); volume != nullptr) return std::string(volume->name);
    if (!then.service.empty()) return recover::nameless_volume(then, containers, taken);
  }
  for (const auto& volume : project.volumes) {
    if (volume.name == name) return std::string(volume.name);
    // Under isolation a volume with a name of its own is known by its key only.
    if (rebuild.apart && (name == volume.key || name == fmt::format("{}_{}", rebuild.run.project, volume.key))) return std::string(volume.name);
  }
  return {};
}

/// Volumes of the rebuilt project that hold something, and folders outside of it that its datastores would write to.
Result<void> nothing_in_the_way(const Rebuild& rebuild, const compose::Project& project, const Deadline& deadline) {
  for (const auto& volume : project.volumes)
    if (const auto there = rebuild.backup.engine->volume(std::string(volume.name), deadline); there && !sources::disk().list(there->mountpoint).empty())
      return fail(Errc::conflict, fmt::format("volume {} exists and is not empty; --overwrite keeps what it holds under another name", volume.name));
  for (const auto& step : rebuild.plan.steps) {
    if (step.kind != Kind::live && step.kind != Kind::offline) continue;
    const auto* service = project.service(step.to);
    if (service == nullptr) continue;
    for (const auto& mount : service->mounts)
      if (mount.type == compose::Mount::Type::bind && !mount.read_only && recover::moved(mount.source, project.folder, "") == mount.source && !sources::disk().list(std::string(mount.source)).empty())
        return fail(Errc::conflict, fmt::format("'{}' would write into {}, which is not empty; move it away first", step.to, mount.source));
  }
  return {};
}

}  // namespace

Result<recover::Around> look_around(BackupSession& backup, const backup::Manifest& run, const recover::Wanted& wanted) {
  recover::Around out;
  for (const auto& path : recover::places(run, wanted))
    if (!sources::disk().list(path).empty()) out.filled.insert(path);
  const auto limit = backup.within(std::chrono::minutes(1));
  for (const auto& volume : run.stack.volumes)
    if (backup.engine->volume(volume.name, limit)) out.volumes.insert(volume.name);
  DM_TRY(const auto containers, backup.engine->containers({.labels = compose::of_project(backup.project)}, limit));
  out.containers = containers.size();
  for (const auto& service : run.stack.services)
    for (const auto& name : {service.image, service.image_id})
      if (!name.empty() && backup.engine->image(name, limit)) out.images.insert(name);
  return out;
}

Args args_of(const Args& args, const Rebuild& rebuild) {
  Args out;
  out.host = args.host;
  out.context = args.context;
  auto& project = out.project;
  project.environment = args.project.environment;
  project.working_directory = project.project_directory = rebuild.plan.folder;
  project.project_name = rebuild.name;
  for (const auto& path : rebuild.run.stack.files) project.files.push_back(recover::moved(path, rebuild.run.stack.folder, rebuild.plan.folder));
  if (project.files.empty())
    for (const auto* name : {"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"})
      if (project.files.empty() && sources::disk().stat(rebuild.plan.folder + "/" + name).kind == sources::Kind::regular) {
        project.files.push_back(rebuild.plan.folder + "/" + name);
        for (const auto* more : {"compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"})
          if (std::string_view(more).starts_with(std::string_view(name).substr(0, std::string_view(name).find('.'))) && sources::disk().stat(rebuild.plan.folder + "/" + more).kind == sources::Kind::regular)
            project.files.push_back(rebuild.plan.folder + "/" + more);
      }
  for (const auto& path : rebuild.run.stack.env_files) project.env_files.push_back(recover::moved(path, rebuild.run.stack.folder, rebuild.plan.folder));
  if (!rebuild.override_file.empty() && sources::disk().stat(rebuild.override_file).kind == sources::Kind::regular) project.files.push_back(rebuild.override_file);
  return out;
}

Result<void> rebuild_files(Rebuild& rebuild) {
  auto& session = rebuild.backup;
  const auto deadline = session.within(std::chrono::hours(24));
  for (const auto& step : rebuild.plan.steps) {
    if (step.kind != Kind::files && step.kind != Kind::secrets && step.kind != Kind::folder) continue;
    const auto begin = Clock::now();
    auto back = [&]() -> Result<recover::Back> {
      if (step.kind == Kind::secrets) {
        if (rebuild.open_secrets.empty()) return recover::sealed(*session.engine, *session.repository, *step.saved.front(), step.to, deadline);
        DM_TRY(auto opened, recover::sealed(*session.engine, *session.repository, *step.saved.front(), rebuild.open_secrets, deadline));
        // They lie in memory; the project's folder has links to them.
        for (const auto& name : rebuild.run.stack.sealed) {
          const auto link = step.to + "/" + name;
          DM_CHECK(make_folders(sources::parent_path(link)));
          if (::symlink((rebuild.open_secrets + "/" + name).c_str(), link.c_str()) != 0 && errno != EEXIST) return fail(errno_error("link " + link, errno));
        }
        return opened;
      }
      DM_CHECK(make_room(rebuild, step.to));
      return recover::tree(*session.repository, *step.saved.front(), step.to, true, deadline);
    }();
    record(rebuild, step, step.to, begin, back);
    if (!back) return fail(std::move(back).error());
  }
  return {};
}

Result<void> write_isolation(const Args& args, Rebuild& rebuild) {
  auto now = args_of(args, rebuild);
  Session session;
  DM_CHECK(open_rebuilt(now, session, {}, true));
  recover::Apart apart;
  apart.own_volumes = rebuild.apart;
  if (rebuild.apart) {
    const auto cut = rebuild.label.find('=');
    apart.label_name = rebuild.label.substr(0, cut);
    apart.label_value = rebuild.label.substr(cut + 1);
  }
  if (!rebuild.run.stack.folder.empty() && rebuild.run.stack.folder != rebuild.plan.folder) apart.folders.emplace(rebuild.run.stack.folder, rebuild.plan.folder);
  for (const auto& step : rebuild.plan.steps)
    if (step.kind == Kind::folder && step.from != step.to) apart.folders.emplace(step.from, step.to);
  auto isolated = recover::isolate(session.project(), apart);
  rebuild.notes.insert(rebuild.notes.end(), isolated.notes.begin(), isolated.notes.end());
  return write_atomic(rebuild.override_file, isolated.yaml, 0600);
}

namespace {

/// Secret files into memory, before containers that mount them are made.
Result<void> hand_over(const Session& session) {
  DM_TRY(const auto changed, during("handing secrets to the containers as files", session.handover->write()));
  (void)changed;
  return {};
}

}  // namespace

Result<deploy::UpOutcome> bring_up_project(Args now, bool quiet, std::vector<std::string> names, bool dependencies, std::vector<std::string> force) {
  Session session;
  DM_CHECK(open_rebuilt(now, session, names, dependencies));
  Planned planned;
  planned.accept_difference = true;
  planned.content = false;
  planned.force = std::move(force);
  int exit = kFailed;
  if (!make_plan(session, now, planned, exit)) return fail(Errc::failed, "the start could not be planned; see above");
  if (!planned.plan.refusal.empty()) return fail(Errc::conflict, planned.plan.refusal);
  DM_CHECK(hand_over(session));
  deploy::UpOptions options;
  options.pull = "missing";
  options.only_these = !dependencies || session.product == "Podman";
  options.deadline = Clock::now() + std::chrono::minutes(20);
  options.deadline_text = "20m";
  const auto progress = deploy::make_progress(quiet ? deploy::ProgressForm::quiet : deploy::ProgressForm::automatic, false);
  return deploy::bring_up(*session.engine, *session.compose, planned.plan, planned.containers, options, *progress, Deadline(Clock::time_point::max(), session.interrupt.token()));
}

Result<deploy::UpOutcome> start_all(const Args& args, Rebuild& rebuild, std::vector<std::string> names, bool dependencies) {
  return bring_up_project(args_of(args, rebuild), rebuild.backup.quiet || rebuild.backup.json, std::move(names), dependencies);
}

Result<void> rebuild_data(const Args& args, Rebuild& rebuild) {
  auto& backup = rebuild.backup;
  const auto deadline = backup.within(std::chrono::hours(24));
  auto now = args_of(args, rebuild);
  Session session;
  DM_CHECK(open_rebuilt(now, session, {}, true));
  const auto& project = session.project();
  for (const auto& volume : project.volumes)  // Compose does not make those
    if (volume.external && !backup.engine->volume(std::string(volume.name), deadline)) DM_CHECK(backup.engine->create_volume(std::string(volume.name), {}, deadline));
  // What exists under the same names keeps its data, under another name.
  if (!rebuild.keep_suffix.empty())
    for (const auto& volume : project.volumes) {
      const std::string name(volume.name);
      if (!backup.engine->volume(name, deadline)) continue;
      DM_TRY(const auto moved, recover::set_aside(*backup.engine, name, fmt::format("{}.{}", name, rebuild.keep_suffix), deadline));
      if (moved > 0) rebuild.notes.push_back(fmt::format("what volume {} held is kept in volume {}.{}", name, name, rebuild.keep_suffix));
    }
  DM_CHECK(nothing_in_the_way(rebuild, project, deadline));
  DM_CHECK(hand_over(session));
  {
    deploy::ComposeCli::Create create;
    create.services.assign(session.services.begin(), session.services.end());
    create.pull = "missing";
    std::string said;
    DM_CHECK(during("creating networks, volumes and containers", session.compose->create(create, [&](std::string_view text) -> Result<void> {
      said.append(text.substr(0, 4096));
      return {};
    }, deadline)));
  }
  const auto containers = backup.engine->containers({.labels = compose::of_project(rebuild.name)}, deadline);
  if (!containers) return fail(containers.error());
  const auto container_of = [&](std::string_view service) -> std::string {
    for (const auto& container : *containers)
      if (recover::service_of(container) == service) return container.id;
    return {};
  };
  for (const auto& service : rebuild.run.stack.services)
    for (const auto& container : *containers)
      if (recover::service_of(container) == service.name && container.image_id != service.image_id)
        rebuild.notes.push_back(fmt::format("{}: image {} is {} here, it was {} when the backup was made", service.name, service.image, container.image_id.substr(0, 19), service.image_id.substr(0, 19)));
  std::set<std::string> taken;
  for (const auto& step : rebuild.plan.steps) {
    if (step.kind != Kind::volume && step.kind != Kind::offline) continue;
    const auto begin = Clock::now();
    auto back = [&]() -> Result<recover::Back> {
      if (step.kind == Kind::offline) {
        const auto id = container_of(step.to);
        if (id.empty()) return fail(Errc::not_found, fmt::format("the rebuilt project has no service '{}' that is switched on", step.to));
        return recover::offline(*backup.engine, *backup.repository, step.saved, id, rebuild.label, progress_of(backup), deadline);
      }
      const auto name = volume_now(rebuild, project, step.from, *containers, taken);
      if (name.empty()) return fail(Errc::not_found, fmt::format("no volume of the project stands for {}; 'datamancy backup restore {} --to FOLDER' gives its files", step.from, step.subject));
      if (!taken.insert(name).second) return fail(Errc::conflict, fmt::format("volume {} has got the data of another one already; 'datamancy backup restore {} --to FOLDER' gives its files", name, step.subject));
      DM_TRY(const auto volume, backup.engine->volume(name, deadline));
      if (!sources::disk().list(volume.mountpoint).empty()) {  // an image fills a new volume with what it has at that place
        bool used = false;
        for (const auto& container : *containers) used = used || container.state == "running";
        if (used) return fail(Errc::conflict, fmt::format("volume {} is not empty", name));
        for (const auto& entry : sources::disk().list(volume.mountpoint)) {
          std::error_code error;
          std::filesystem::remove_all(volume.mountpoint + "/" + entry, error);
        }
      }
      if (::access(volume.mountpoint.c_str(), W_OK | X_OK) != 0) return fail(Errc::denied, fmt::format("{} cannot be written here: volumes are filled by root, on the engine's own machine", volume.mountpoint));
      return recover::tree(*backup.repository, *step.saved.front(), volume.mountpoint, true, deadline);
    }();
    record(rebuild, step, step.subject, begin, back);
    // Fewer replicas than then, or an image that has no such place any more: the rest is not to be kept back by that.
    const bool nameless = std::ranges::any_of(rebuild.run.stack.volumes, [&](const auto& then) { return step.kind == Kind::volume && then.name == step.from && !then.service.empty(); });
    if (!back && !(nameless && back.error().code == Errc::not_found)) return fail(std::move(back).error());
  }
  std::vector<std::string> servers;
  for (const auto& step : rebuild.plan.steps)
    if (step.kind == Kind::live) servers.push_back(step.to);
  if (servers.empty()) return {};
  DM_TRY(const auto up, start_all(args, rebuild, servers, false));
  if (!up.fine) return fail(Errc::failed, fmt::format("the datastores did not start: {}", up.services.empty() ? up.creation_error : up.services.front().service + ": " + up.services.front().view.why));
  for (const auto& step : rebuild.plan.steps) {
    if (step.kind != Kind::live) continue;
    const auto begin = Clock::now();
    std::string id;
    for (const auto& container : up.containers)
      if (container.service == step.to && !container.one_off) id = container.id;
    auto back = id.empty() ? Result<recover::Back>(fail(Errc::not_found, fmt::format("'{}' has no container", step.to))) : recover::live(*backup.engine, *backup.repository, step.saved, id, progress_of(backup), deadline);
    record(rebuild, step, step.subject, begin, back);
    if (!back) return fail(std::move(back).error());
  }
  return {};
}

}  // namespace dm::cli
