#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include "base/json.hpp"
#include "cli/secrets.hpp"
#include "cli/session.hpp"
#include "deploy/look.hpp"
#include "deploy/plan.hpp"
#include "state/revision.hpp"

namespace dm::cli {
namespace {

using deploy::Container;
using deploy::Snapshot;

/// In one word; `job`: it runs to its end, which is no trouble.
std::string_view state_of(const Container& c, bool job) {
  switch (c.state.status) {
    case Snapshot::Status::created: return "created";
    case Snapshot::Status::running: break;
    case Snapshot::Status::paused: return "paused";
    case Snapshot::Status::restarting: return "restarting";
    case Snapshot::Status::removing: return "removing";
    case Snapshot::Status::exited: return job && c.state.exit_code == 0 ? "done" : "exited";
    case Snapshot::Status::dead: return "dead";
    case Snapshot::Status::gone: return "gone";
  }
  switch (c.state.health) {
    case Snapshot::Health::none: return "running";
    case Snapshot::Health::starting: return "starting";
    case Snapshot::Health::healthy: return "healthy";
    case Snapshot::Health::unhealthy: return "unhealthy";
  }
  return "running";
}

std::string age_text(std::int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} days", seconds / 86400);
}

bool well(std::string_view state) { return state == "running" || state == "healthy" || state == "starting" || state == "done"; }

int list_projects(Args& args, bool json) {
  auto engine = open_engine(args);
  if (!engine) return complain(engine.error());
  const auto found = deploy::find_projects(**engine, Deadline::in(std::chrono::seconds(30)));
  if (!found) return complain(found.error());
  if (json) {
    JsonWriter out;
    out.begin_object().key("version").value(std::int64_t{1}).key("engine").value((*engine)->description()).key("projects").begin_array();
    for (const auto& project : *found)
      out.begin_object().key("name").value(project.name).key("containers").value(static_cast<std::uint64_t>(project.containers))
          .key("running").value(static_cast<std::uint64_t>(project.running)).key("unhealthy").value(static_cast<std::uint64_t>(project.unhealthy))
          .key("folder").value(project.working_dir).key("files").value(project.config_files).key("compose").value(project.compose_version).end();
    out.end().end();
    return write_output("", out.take() + "\n") ? kClean : kFailed;
  }
  fmt::print("engine: {}\n", (*engine)->description());
  for (const auto& project : *found)
    fmt::print("{}: {} of {} containers run{}; {}\n", project.name, project.running, project.containers,
               project.unhealthy > 0 ? fmt::format(", {} unhealthy", project.unhealthy) : "", project.config_files);
  return kClean;
}

}  // namespace

int status(Args& args) {
  const bool json = args.has("--json");
  if (args.has("--projects")) return list_projects(args, json);
  if (!args.words.empty()) {
    fmt::print(stderr, "datamancy: status does not know '{}'; see 'datamancy status --help'\n", args.words[0]);
    return kUsage;
  }
  auto engine = open_engine(args);
  if (!engine) return complain(engine.error());
  const auto limit = Deadline::in(std::chrono::seconds(30));
  const auto info = (*engine)->info(limit);
  if (!info) return complain(info.error());
  read_stdin(args.project);
  if (const auto found = find_by_name(args, **engine, limit, /*model_will_do=*/true); !found) return complain(found.error());
  std::string name = args.project.project_name;
  // Names and profiles are all that is asked of the files: what a variable holds does not matter, and no key is needed.
  if (args.project.project_directory.empty()) args.project.project_directory = project_folder(args);  // which may lie above, where a lenient load does not look
  args.project.lenient = true;
  const auto loaded = compose::load(args.project, sources::disk());
  if (loaded.usable) name = loaded.project->name;
  if (name.empty()) {
    print_diagnostics(*loaded.project, loaded.diagnostics);
    return kFailed;
  }
  const auto seen = deploy::look(**engine, name, limit);
  if (!seen) return complain(seen.error());
  const auto& containers = *seen;
  std::string store = state::root_folder(plain_environment(args), ::geteuid() == 0);
  std::vector<state::Revision> history;
  if (const auto folder = state::store_folder(store, info->id, name)) {
    store = *folder;
    auto db = state::open_store(store);
    history = state::revisions(db, 1);
  }
  std::map<std::string, std::vector<const Container*>> by_service;
  std::size_t troubled = 0;
  // Where the files do not tell, what nobody starts again may end.
  const product::Catalogue products;
  wiring::Wiring wiring;
  if (loaded.usable) wiring = wiring::wire(*loaded.project, products);
  const auto job = [&](const Container& container) {
    const auto id = loaded.usable ? wiring.id_of(container.service) : wiring::kNone;
    return id != wiring::kNone ? bool{wiring.one_shot[id]} : container.restart_policy != "always" && container.restart_policy != "unless-stopped";
  };
  for (const auto& container : containers) {
    if (container.one_off) continue;
    by_service[container.service].push_back(&container);
    troubled += well(state_of(container, job(container))) ? 0 : 1;
  }
  struct Short {
    std::string service;
    std::size_t have, wanted;
  };
  std::vector<Short> too_few;
  std::vector<std::string> orphans;
  if (loaded.usable)
    for (const auto& service : loaded.project->services) {
      const auto found = by_service.find(std::string(service.name));
      const auto have = found == by_service.end() ? 0 : found->second.size(), wanted = deploy::replicas_of(service);
      if (service.enabled && have < wanted) too_few.push_back({std::string(service.name), have, wanted});
    }
  if (loaded.usable)
    for (const auto& [service, list] : by_service)
      if (loaded.project->service(service) == nullptr) orphans.push_back(service);
  const auto exit = troubled > 0 || !too_few.empty() ? kFindings : kClean;
  const bool ours = !history.empty();
  if (json) {
    JsonWriter out;
    out.begin_object().key("version").value(std::int64_t{1}).key("project").value(name).key("engine").value((*engine)->description()).key("store").value(store);
    if (!containers.empty()) out.key("files").value(deploy::spokesman(containers).config_files).key("folder").value(containers.front().working_dir);
    out.key("started_by").value(ours ? "datamancy" : containers.empty() ? "nobody" : "docker compose " + containers.front().compose_version);
    if (ours) out.key("revision").value(history.front().id).key("revision_result").value(history.front().result);
    out.key("services").begin_array();
    for (const auto& [service, list] : by_service)
      for (const auto* container : list) {
        out.begin_object().key("service").value(service).key("container").value(container->name).key("id").value(container->id).key("state").value(state_of(*container, job(*container)));
        out.key("exit_code").value(std::int64_t{container->state.exit_code}).key("restarts").value(container->state.restarts);
        out.key("running_seconds").value(static_cast<std::int64_t>(container->state.running_for.count() / 1000));
        out.key("image").value(container->image).key("image_id").value(container->image_id).key("ports").begin_array();
        for (const auto& port : container->ports) out.value(port);
        out.end().end();
      }
    out.end().key("missing").begin_array();
    for (const auto& one : too_few)
      if (one.have == 0) out.value(one.service);
    out.end().key("too_few").begin_array();
    for (const auto& one : too_few)
      out.begin_object().key("service").value(one.service).key("have").value(static_cast<std::uint64_t>(one.have)).key("wanted").value(static_cast<std::uint64_t>(one.wanted)).end();
    out.end().key("orphans").begin_array();
    for (const auto& service : orphans) out.value(service);
    out.end().end();
    return write_output("", out.take() + "\n") ? exit : kFailed;
  }
  fmt::print("{} on {}\n", name, (*engine)->description());
  if (!containers.empty()) fmt::print("files: {}\n", deploy::spokesman(containers).config_files);
  fmt::print("store: {}\n", store);
  if (containers.empty()) fmt::print("no container of it is on the engine\n");
  if (ours) fmt::print("{}revision {}: {} by {}, {}\n", containers.empty() ? "last " : "", history.front().id, history.front().verb, history.front().who, history.front().result);
  else if (!containers.empty()) fmt::print("started by docker compose {}; 'datamancy up' takes it over without recreating what is as the files want it\n", containers.front().compose_version);
  std::size_t width = 8;
  for (const auto& [service, list] : by_service) width = std::max(width, service.size());
  for (const auto& [service, list] : by_service)
    for (const auto* container : list) {
      std::string more;
      if (container->state.status == Snapshot::Status::running) more = "for " + age_text(container->state.running_for.count() / 1000);
      if (container->state.status == Snapshot::Status::exited) more = fmt::format("exit code {}{}", container->state.exit_code, container->state.out_of_memory ? ", out of memory" : "");
      if (container->state.restarts > 0) more += fmt::format(", {} restarts", container->state.restarts);
      for (const auto& port : container->ports) more += "  " + port;
      fmt::print("  {:{}}  {:10}  {}\n", service, width, state_of(*container, job(*container)), more);
    }
  for (const auto& one : too_few) fmt::print("  {:{}}  missing{}\n", one.service, width, one.have == 0 ? "" : fmt::format("     {} of {} containers", one.wanted - one.have, one.wanted));
  for (const auto& service : orphans) fmt::print("note: {} is not in the files any more\n", service);
  return exit;
}

}  // namespace dm::cli
