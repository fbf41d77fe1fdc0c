#include "cli/deploying.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <set>
#include <thread>

#include "cli/records.hpp"
#include "compose/labels.hpp"
#include "compose/units.hpp"
#include "deploy/borrowed_hash.hpp"
#include "deploy/look.hpp"
#include "deploy/network_drift.hpp"
#include "deploy/preflight.hpp"
#include "rotate/places.hpp"
#include "state/journal.hpp"
#include "upgrade/unfinished.hpp"

namespace dm::cli {

using namespace std::chrono_literals;

namespace {

/// A rotation that was cut off is told, with what is known of it; what runs is not judged by it.
void tell_of_rotations(Session& session) {
  const auto& sealed = session.handover->secrets();
  const auto& folder = session.project().folder;
  for (const auto* list : {&sealed.files, &sealed.service_files})
    for (const auto& file : *list)
      for (const auto& name : file.names) {
        const auto of = secrets::rotated_name(name);
        if (of.empty() || !file.has(of)) continue;
        const bool own = list == &sealed.service_files;
        const auto subject = rotate::called({std::string(of), file.path, !own}, folder);
        std::string where;
        if (const auto db = session.open_store())
          for (const auto& entry : state::newest_entries(**db, 50))
            if (where.empty() && entry.verb == "rotate" && entry.subject == subject) where = fmt::format(" ({}, by {})", entry.action, entry.who);
        fmt::print(stderr, "note: a rotation of {} was cut off{}: {}; 'datamancy secrets rotate {}{}' asks the server and finishes it\n", subject, where,
                   name.ends_with(secrets::kNext) ? "the server may have the old or the new value, what is sealed here is the old one" : "the server has the new value, and so has what is recreated now", of,
                   own ? fmt::format(" --in {}", sources::relative_to(file.path, folder)) : "");
      }
}

}  // namespace

bool take_plan_options(Args& args, Planned& out) {
  out.with_dependencies = !args.has("--no-deps");
  out.early = !args.has("--no-early-readiness");
  out.content = !args.has("--no-content");
  out.keep = args.has("--no-recreate");
  out.repair = args.has("--repair");
  out.remove_orphans = args.has("--remove-orphans");
  out.accept_difference = args.has("--accept-model-difference");
  if (args.has("--all")) args.project.profiles.emplace_back("*");
  for (std::string name; args.option("--recreate", name);) out.force.push_back(name);
  return true;
}

/// Whether Compose and we read the same in the files; says where not.
static bool agree(const Result<std::string>& theirs, const compose::Project& project, bool accept, int& exit) {
  const auto differ = theirs ? deploy::differences(*theirs, compose::to_json(project)) : Result<std::vector<std::string>>(fail(theirs.error()));
  if (!differ) {
    exit = complain(differ.error());
    return false;
  }
  if (differ->empty()) return true;
  fmt::print(stderr, "{}: docker compose and datamancy read these files differently, at:\n", accept ? "warning" : "datamancy");
  for (const auto& path : *differ) fmt::print(stderr, "  {}\n", path);
  if (!accept) fmt::print(stderr, "nothing was touched; --accept-model-difference goes on with what Compose reads (and please report it)\n");
  return accept;
}

bool make_plan(Session& session, Args& args, Planned& planned, int& exit) {
  const auto& project = session.project();
  exit = kFailed;
  // Questions at once: Compose's hashes, what runs, and what Compose makes of the files, which only matters where something will be
  // touched: where every service has a container that waits for the plan.
  const auto limit = session.within(60s);
  const auto ask_model = [&] { return session.compose->model(limit); };
  std::future<Result<std::string>> model;
  auto hashes = std::async(std::launch::async, [&] { return session.compose->hashes(limit); });
  auto containers = deploy::look(*session.engine, project.name, limit);
  if (!containers || std::ranges::any_of(session.services, [&](const auto& name) { return std::ranges::find(*containers, name, &deploy::Container::service) == containers->end(); })) {
    model = std::async(std::launch::async, ask_model);
    planned.compose_version = std::async(std::launch::async, [limit] { return deploy::ComposeCli::version(limit).value_or(""); }).share();
  }
  if (planned.repair) {
    // After a power loss the engine starts everything at once: what is still on its way is given its own time, at most five minutes.
    const auto until = Clock::now() + 5min;
    while (containers && Clock::now() < until && !session.interrupt.happened()) {
      const auto on_its_way = std::ranges::find_if(*containers, [](const deploy::Container& c) {
        return c.state.status == deploy::Snapshot::Status::running && c.state.health == deploy::Snapshot::Health::starting &&
               c.state.running_for < deploy::budget_of(c.start_period, c.interval, c.timeout, c.retries);
      });
      if (on_its_way == containers->end()) break;
      std::this_thread::sleep_for(1s);
      containers = deploy::look(*session.engine, project.name, session.within(60s));
    }
  }
  std::map<std::string, std::string> images;
  for (const auto& service : project.services) {
    if (!service.enabled || !session.services.contains(service.name)) continue;
    const auto name = deploy::image_of(project, service);
    if (images.contains(name)) continue;
    const auto image = session.engine->image(name, limit);
    if (!image && image.error().code != Errc::not_found) {
      exit = complain(image.error());
      return false;
    }
    images[name] = image ? image->id : "";
  }
  const auto hashed = hashes.get();
  for (const Error* trouble : std::initializer_list<const Error*>{hashed ? nullptr : &hashed.error(), containers ? nullptr : &containers.error()})
    if (trouble != nullptr) {
      exit = complain(*trouble);
      return false;
    }
  for (const auto& name : planned.force)
    if (project.service(name) == nullptr) {
      exit = complain({Errc::not_found, fmt::format("--recreate: no service '{}'", name), {}});
      return false;
    }
  const auto networks = session.engine->networks(compose::of_project(project.name), limit);
  if (!networks) {
    exit = complain(networks.error());
    return false;
  }
  deploy::PlanInput input{.wiring = session.wiring};
  input.changed_networks = deploy::changed_networks(project, *networks);
  input.services = session.services;
  input.hashes = *hashed;
  deploy::settle_env_files(input.hashes, *session.loaded.project, *containers);
  deploy::settle_borrowed_hashes(input.hashes, *session.loaded.project, *containers);
  input.images = std::move(images);
  input.containers = *containers;
  input.force.insert(planned.force.begin(), planned.force.end());
  input.early = planned.early;
  input.keep = planned.keep;
  input.repair = planned.repair;
  input.remove_orphans = planned.remove_orphans;
  const auto key = deploy::digest_key(session.store);
  const auto db = session.open_store();
  if (!key || !db) {
    exit = complain(key ? db.error() : key.error());
    return false;
  }
  planned.mounted = deploy::mounted(session.wiring);
  planned.digests = deploy::digests(planned.mounted, *key);
  if (planned.content) {
    auto compared = deploy::compare_content(planned.digests, state::container_files(**db), *containers, deploy::modified(planned.mounted));
    for (auto& [service, paths] : compared.changed)
      for (auto& path : paths)
        if (path.starts_with(project.folder + "/")) path = "." + path.substr(project.folder.size());
    input.changed_content = std::move(compared.changed);
    planned.notes = std::move(compared.notes);
  }
  if (const auto there = session.handover->still_sealed(session.loaded, deploy::marks_of(*containers)); !there) {
    exit = complain(there.error());
    return false;
  }
  if (!std::exchange(planned.told, true)) tell_of_rotations(session);
  planned.plan = deploy::plan(input);
  planned.containers = *std::move(containers);
  const bool same_services = std::ranges::all_of(project.services, [&](const auto& service) { return service.enabled == hashed->contains(std::string(service.name)); });
  if (planned.plan.changes() || !same_services || model.valid())
    if (!agree(model.valid() ? model.get() : ask_model(), project, planned.accept_difference, exit)) return false;
  (void)args;
  return true;
}

bool take_up_options(Args& args, std::string_view verb, UpRequest& out) {
  std::string text;
  out.json = args.has("--json");
  out.dry_run = args.has("--dry-run");
  const bool up = verb == "up", restart = verb == "restart";
  out.atomic = up && args.has("--atomic");
  out.preflight = restart || !args.has("--no-preflight");
  out.build = up && args.has("--build");
  if (up && args.option("--pull", out.options.pull) && out.options.pull != "always" && out.options.pull != "missing" && out.options.pull != "never") {
    fmt::print(stderr, "datamancy: --pull is always, missing or never, not '{}'\n", out.options.pull);
    return false;
  }
  if (args.option("--min-free", text)) {
    const auto bytes = compose::parse_bytes(text);
    if (!bytes) {
      fmt::print(stderr, "datamancy: --min-free wants a size such as 50g, not '{}'\n", text);
      return false;
    }
    out.want_free = *bytes;
  }
  std::chrono::nanoseconds settle = out.options.settle;
  if (!take_duration(args, "--settle", settle) || !take_duration(args, "--timeout", out.timeout) || !take_duration(args, "--lock-wait", out.lock_wait)) return false;
  out.options.settle = std::chrono::duration_cast<std::chrono::milliseconds>(settle);
  std::int64_t fan_out = 0;
  if (!take_number(args, "--fan-out", 1, 64, fan_out)) return false;
  out.options.fan_out = static_cast<std::size_t>(fan_out);
  if (args.option("--progress", text)) {
    const auto form = deploy::progress_form(text);
    if (!form) {
      fmt::print(stderr, "datamancy: --progress is auto, tty, plain, json or quiet, not '{}'\n", text);
      return false;
    }
    out.progress = *form;
  }
  if (up && !take_plan_options(args, out.planned)) return false;
  if (!up) {
    out.planned.accept_difference = args.has("--accept-model-difference");
    out.planned.early = !args.has("--no-early-readiness");
  }
  return take_names(args, verb, out.planned.names);
}

bool deliver_secrets(const Session& session, int& exit) {
  if (const auto reach = secrets::within_reach(session.handover->delivery(), session.engine->description()); !reach) {
    exit = complain(reach.error());
    return false;
  }
  const auto changed = session.handover->write();
  if (!changed) {
    auto error = changed.error();
    error.during.emplace_back("handing secrets to the containers as files; no container was touched");
    exit = complain(error);
    return false;
  }
  if (*changed > 0) fmt::print(stderr, "secrets: {} of {} files in {} were written\n", *changed, session.handover->delivery().files.size(), session.handover->delivery().folder);
  return true;
}

void prune_secrets(const Session& session) {
  const auto containers = session.engine->containers({.labels = compose::of_project(session.project().name)}, session.within(30s));
  if (!containers) return;  // files that are too many do no harm
  std::set<std::string, std::less<>> mounted;
  for (const auto& container : *containers)
    for (const auto& mount : container.mounts) mounted.insert(mount.source);
  secrets::prune_files(session.handover->delivery(), mounted);
}

void remove_services(Session& session, const std::set<std::string, std::less<>>& names) {
  const auto limit = Deadline::in(5min);
  const auto containers = deploy::look(*session.engine, session.project().name, limit);
  if (!containers) return;
  for (const auto& container : *containers) {
    if (container.one_off || !names.contains(container.service)) continue;
    const auto* service = session.project().service(container.service);
    if (service != nullptr && service->enabled) continue;
    auto gone = session.engine->stop(container.id, -1, limit);
    if (gone) gone = session.engine->remove(container.id, false, false, limit);
    if (gone) fmt::print(stderr, "note: removed {}, which that revision does not have\n", container.name);
    else fmt::print(stderr, "note: could not remove {}: {}\n", container.name, gone.error().message);
  }
}

int run_up(Args& args, UpRequest& request) {
  Session session;
  int exit = kFailed;
  if (!open_session(args, request.planned.names, session, exit, request.planned.with_dependencies)) return exit;
  auto lock = session.lock(fmt::format("up of {}", session.project().name), request.lock_wait);
  if (!lock) return complain(lock.error());
  if (const auto left = upgrade::read_unfinished(session.store); !left || *left)
    return complain(left ? Error{Errc::conflict, fmt::format("an upgrade of '{}' from {} to {} was interrupted: 'datamancy upgrade {}' goes back first", (*left)->service, (*left)->from,
                                                             (*left)->image, (*left)->service), {}}
                         : left.error());
  request.after_a_cut = close_interrupted(session);
  return deploy_session(session, args, request, "up");
}

}  // namespace dm::cli
