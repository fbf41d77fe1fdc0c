#include "cli/records.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "base/files.hpp"
#include "compose/units.hpp"
#include "deploy/look.hpp"
#include "deploy/preflight.hpp"
#include "deploy/template.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

Result<std::function<std::string(std::string_view)>> digester(const Session& session) {
  DM_TRY(auto key, deploy::digest_key(session.store));
  return std::function<std::string(std::string_view)>([key = std::move(key)](std::string_view bytes) { return deploy::keyed_digest(key, bytes); });
}

Result<state::Revision> describe(const Session& session, const deploy::Plan& plan, std::string verb) {
  const auto& project = session.project();
  DM_TRY(const auto key, deploy::digest_key(session.store));
  DM_TRY(const auto digest, digester(session));
  DM_TRY(auto made, deploy::make_template(compose::to_json(project), project, digest, session.sealed_values));
  state::Revision out;
  out.at = now_seconds();
  out.who = who();
  out.verb = std::move(verb);
  for (const auto& step : plan.steps)
    if (step.change != deploy::Change::none && step.change != deploy::Change::start)
      out.note += fmt::format("{}{} {} ({})", out.note.empty() ? "" : "; ", deploy::to_string(step.change), step.service, step.why);
  for (const auto& one : plan.surplus) out.note += fmt::format("{}remove {}", out.note.empty() ? "" : "; ", one.name);
  if (out.note.size() > 500) out.note = out.note.substr(0, 497) + "...";
  out.folder = project.folder;
  out.model = std::move(made.model);
  out.holes = std::move(made.holes);
  out.files = deploy::kept_files(deploy::mounted(session.wiring), key);
  return out;
}

std::vector<state::RevisionService> services_of(const Session& session, const std::vector<deploy::Container>& containers) {
  std::vector<state::RevisionService> out;
  for (const auto& service : session.project().services)
    for (const auto& container : containers)
      if (service.enabled && container.service == service.name && !container.one_off) {
        out.push_back({std::string(service.name), deploy::image_of(session.project(), service), container.image_id, container.config_hash});
        break;
      }
  return out;
}

bool close_interrupted(Session& session) {
  const auto db = session.open_store();
  if (!db) return false;
  bool any = false;
  for (const auto& revision : state::revisions(**db, 10)) {
    if (revision.result != "under way") continue;
    fmt::print(stderr, "note: revision {} ({} by {}) was cut off before its end; this run goes on from there\n", revision.id, revision.verb, revision.who);
    state::end_revision(**db, revision.id, "interrupted", "its process ended before its end", {}, now_seconds());
    any = true;
  }
  return any;
}

void record_content(Session& session, const deploy::Digests& now, const std::vector<deploy::Mounted>& list, const std::vector<deploy::Container>& before,
                    const std::vector<deploy::Container>& after) {
  if (after.empty()) return;  // the engine did not answer: what is known stays known
  const auto db = session.open_store();
  if (!db) return;
  const auto known = state::container_files(**db);
  const auto ages = deploy::modified(list);
  std::vector<std::string> present;
  for (const auto& container : after) {
    present.push_back(container.id);
    const auto files = now.of.find(container.service);
    if (files == now.of.end() || container.one_off) continue;
    const bool made_now = std::ranges::find(before, container.id, &deploy::Container::id) == before.end();
    if (made_now) {
      state::set_container_files(**db, container.id, files->second);
      continue;
    }
    auto record = known.find(container.id) == known.end() ? std::map<std::string, std::string>() : known.at(container.id);
    const auto size = record.size();
    for (const auto& [path, digest] : files->second) {  // adopted: a file that is older than the container is what that was made with
      const auto age = ages.find(path);
      if (!record.contains(path) && age != ages.end() && age->second <= container.created) record.emplace(path, digest);
    }
    if (record.size() != size) state::set_container_files(**db, container.id, record);
  }
  state::forget_containers(**db, present);
}

std::vector<std::string> running_values(Session& session) {
  std::vector<std::string> out;
  const auto limit = session.within(std::chrono::seconds(30));
  const auto containers = deploy::look(*session.engine, session.project().name, limit);
  if (!containers) return out;
  for (const auto& seen : *containers) {
    const auto container = session.engine->container(seen.id, limit);
    if (!container) continue;
    for (const auto& variable : container->env)
      if (const auto cut = variable.find('='); cut != std::string::npos) out.push_back(variable.substr(cut + 1));
    for (const auto* words : {&container->command, &container->entrypoint, &container->healthcheck.test}) out.insert(out.end(), words->begin(), words->end());
  }
  return out;
}

Result<void> become(Session& session, const Args& args, const state::Revision& target, const std::vector<std::string>& values, std::vector<std::string>& notes) {
  DM_TRY(const auto digest, digester(session));
  const auto limit = session.within(std::chrono::seconds(60));
  const auto today = compose::to_json(session.project());
  std::map<std::string, std::string> variables;
  for (const auto& [name, definition] : session.project().environment) variables.emplace(name, definition.value);
  for (const auto& [name, value] : session.sealed_values) variables.emplace(name, value);
  DM_TRY(const auto filled, deploy::fill({target.model, target.holes}, today, variables, values, digest));
  if (!filled.changed.empty())
    notes.push_back(fmt::format("{} {} changed since revision {}, and {}: secrets do not go back", fmt::join(filled.changed, ", "), filled.changed.size() == 1 ? "has" : "have", target.id,
                                filled.changed.size() == 1 ? "keeps its present value" : "keep their present values"));
  if (!filled.missing.empty()) {
    std::string list;
    for (const auto& path : filled.missing) list += (list.empty() ? "" : ", ") + path;
    return fail(Errc::not_found, fmt::format("revision {} cannot be brought back: secrets changed since, and only their digests were kept: {}; put the old values back and run it again", target.id, list));
  }
  // All images first: nothing is moved where one is gone.
  struct Move {
    std::string name, from, to;
  };
  std::vector<Move> moves;
  std::set<std::string> seen;
  for (const auto& service : target.services) {
    if (service.image_id.empty() || !seen.insert(service.image).second) continue;
    const auto present = session.engine->image(service.image, limit);
    if (present && present->id == service.image_id) continue;
    if (!session.engine->image(service.image_id, limit))
      return fail(Errc::not_found, fmt::format("revision {} cannot be brought back: image {} ({}) of {} is gone from the engine", target.id, service.image, service.image_id, service.service));
    moves.push_back({service.image, present ? present->id : "", service.image_id});
  }
  std::map<std::string, std::string> paths;
  const auto folder = fmt::format("{}/revisions/{}", session.store, target.id);
  DM_CHECK(make_folders(folder, 0700));
  for (const auto& file : target.files) {
    const auto present = sources::disk().read(file.path, sources::kMaxFile);
    if (present && digest(*present) == file.digest) continue;
    if (!file.kept) {
      notes.push_back(fmt::format("{} is as it is now, not as it was: it holds a secret or is too large, so that only its digest was kept", file.path));
      continue;
    }
    struct stat info {};
    const int mode = ::stat(file.path.c_str(), &info) == 0 ? static_cast<int>(info.st_mode & 07777U) : 0644;
    const auto copy = fmt::format("{}/{}-{}", folder, file.digest.substr(0, 12), base_name(file.path));
    DM_CHECK(write_atomic(copy, file.content, mode));
    paths.emplace(file.path, copy);
    notes.push_back(fmt::format("{} has other content than revision {}: its kept copy is mounted until the next up", file.path, target.id));
  }
  DM_TRY(const auto model, deploy::with_paths(target.model, paths));
  const auto file = folder + "/compose.json";
  DM_CHECK(write_atomic(file, model, 0600));
  for (const auto& move : moves) {
    const auto parts = product::split_image(move.name);
    if (!parts.digest.empty()) continue;  // a digest names one image for ever
    if (!move.from.empty()) {
      const auto repository = move.name.substr(0, parts.tag.empty() ? std::string::npos : move.name.size() - parts.tag.size() - 1);
      const auto kept = fmt::format("{}:datamancy-was-{}", repository, move.from.substr(move.from.find(':') + 1, 12));
      DM_CHECK(session.engine->tag_image(move.from, kept, limit));
      notes.push_back(fmt::format("{} names {} again; the image that it named is {}", move.name, move.to.substr(0, 19), kept));
    }
    DM_CHECK(session.engine->tag_image(move.to, move.name, limit));
  }
  compose::Options options;
  options.files = {file};
  options.project_directory = target.folder;
  options.working_directory = target.folder;
  options.project_name = session.project().name;
  options.profiles = {"*"};
  options.env_files = {"/dev/null"};
  for (const auto& [name, value] : filled.variables) options.environment[name] = value;
  auto loaded = compose::load(options, sources::disk());
  if (!loaded.ok) return fail(Errc::corrupt, fmt::format("the kept model of revision {} does not load", target.id));
  const auto& delivery = session.handover->delivery();
  for (const auto& secret : loaded.project->secrets)
    if (!delivery.folder.empty() && secret.file.starts_with(delivery.folder + "/") && std::ranges::find(delivery.files, secret.file, &secrets::FileSecret::path) == delivery.files.end())
      return fail(Errc::not_found, fmt::format("revision {} cannot be brought back: it reads the secret {}, which no sealed file gives today", target.id, secret.file));
  const auto name = session.project().name;
  session.loaded = std::move(loaded);
  session.wiring = wiring::wire(*session.loaded.project, session.products);
  session.compose = std::make_unique<deploy::ComposeCli>(options, name);
  session.compose->reach(args.host, args.context);
  DM_TRY(session.services, deploy::choose(session.project(), {}));
  return {};
}

int deploy_session(Session& session, Args& args, UpRequest& request, const std::string& verb) {
  int exit = kFailed;
  const auto opened = session.open_store();
  if (!opened) return complain(opened.error());
  auto& db = **opened;
  if (!make_plan(session, args, request.planned, exit)) return exit;
  const auto& plan = request.planned.plan;
  const auto fetch = wanted_images(session, request);
  if (request.dry_run) return write_output("", request.json ? deploy::plan_json(plan) : deploy::plan_text(plan)) ? kClean : kFailed;
  if (!plan.refusal.empty()) return complain({Errc::conflict, fmt::format("nothing was touched: {}", plan.refusal), {}});
  auto progress = deploy::make_progress(request.progress, may_color(args));
  if (request.preflight && (plan.changes() || fetch.any())) {
    const auto around = deploy::gather(*session.engine, session.wiring, session.services, session.within(std::chrono::seconds(60)));
    if (!around) return complain(around.error());
    auto problems = deploy::preflight({.wiring = session.wiring, .services = session.services, .around = *around, .want_free = request.want_free, .may_pull = request.options.pull != "never"});
    for (auto& problem : rendering_problems(session)) problems.push_back(std::move(problem));
    for (const auto& problem : problems)
      progress->say(problem.blocks ? "stops" : "hurts", fmt::format("{}: {}{}{}", problem.check, problem.what, problem.mend.empty() ? "" : request.progress == deploy::ProgressForm::json ? "; mend: " : "\n  mend: ", problem.mend));
    if (deploy::blocked(problems)) {
      progress->say("datamancy", "nothing was touched (--no-preflight tries anyway)");
      return kFailed;
    }
  }
  if (fetch.any()) {
    const auto fetched = fetch_images(session, fetch, *progress);
    progress->end();
    if (!fetched) return complain(fetched.error());
    if (request.options.pull == "always") request.options.pull = "missing";  // they are here now
    if (!make_plan(session, args, request.planned, exit)) return exit;
  }
  if (!deliver_secrets(session, exit)) return exit;
  const auto last = state::last_good(db, 0);
  auto described = describe(session, plan, verb);
  if (!described) return complain(described.error());
  const bool records = plan.changes() || !last || last->model != described->model;
  if (!plan.changes() && !last && verb == "up") described->verb = "adopt";
  described->services = services_of(session, request.planned.containers);
  const auto values = request.atomic && last ? running_values(session) : std::vector<std::string>();
  std::int64_t id = 0, entry = 0;
  if (records) {
    auto& version = request.planned.compose_version;
    described->compose = version.valid() ? version.get() : deploy::ComposeCli::version(session.within(std::chrono::seconds(20))).value_or("");
    id = state::begin_revision(db, *described);
    entry = state::begin(db, {.at = described->at, .who = described->who, .verb = verb, .subject = session.project().name, .action = described->note});
  }
  request.options.only_these = !request.planned.with_dependencies || request.planned.keep || session.product == "Podman";
  request.options.deadline = Clock::now() + request.timeout;
  if (request.options.fan_out == 0) request.options.fan_out = deploy::fan_out_for(session.processors);
  request.options.deadline_text = compose::format_duration(request.timeout);
  auto outcome = deploy::bring_up(*session.engine, *session.compose, plan, request.planned.containers, request.options, *progress, Deadline(Clock::time_point::max(), session.interrupt.token()));
  if (!outcome) {
    if (id != 0) state::end_revision(db, id, "failed", outcome.error().message, {}, now_seconds());
    if (entry != 0) state::finish(db, entry, "failed");
    return complain(outcome.error());
  }
  record_content(session, request.planned.digests, request.planned.mounted, request.planned.containers, outcome->containers);
  // The engine ends what it was asked, whoever asked: a run that was killed may have got a container after this one looked.
  if (request.after_a_cut && outcome->fine) {
    if (!make_plan(session, args, request.planned, exit)) return exit;
    if (!plan.surplus.empty() && std::ranges::all_of(plan.steps, [](const auto& step) { return step.change == deploy::Change::none; }))
      if (auto once_more = deploy::bring_up(*session.engine, *session.compose, plan, request.planned.containers, request.options, *progress, Deadline(Clock::time_point::max(), session.interrupt.token()))) outcome = std::move(once_more);
  }
  const std::string result = outcome->interrupted ? "interrupted" : outcome->fine ? "good" : "failed";
  auto note = described->note;
  if (!outcome->fine && !outcome->services.empty() && outcome->services.front().view.phase == deploy::Phase::failed)
    note = fmt::format("{}: {}", outcome->services.front().service, outcome->services.front().view.why);
  if (id != 0) state::end_revision(db, id, result, note, services_of(session, outcome->containers), now_seconds());
  if (entry != 0) state::finish(db, entry, result);
  const auto text = request.json ? deploy::outcome_json(*outcome, session.project().name) : deploy::outcome_text(*outcome, session.project().name);
  if (!write_output("", text)) return kFailed;
  for (const auto& content_note : request.planned.notes) progress->say("note", content_note);
  if (outcome->interrupted) return kInterrupted;
  if (outcome->fine) {
    prune_secrets(session);
    return kClean;
  }
  if (!request.atomic) return kFindings;
  if (!last) {
    fmt::print(stderr, "datamancy: there is no good revision to go back to\n");
    return kFindings;
  }
  // Back to the last good one. Whatever happens, the exit status stays that of the failed up.
  fmt::print(stderr, "going back to revision {}\n", last->id);
  std::vector<std::string> notes;
  const auto new_services = session.services;
  if (const auto turned = become(session, args, *last, values, notes); !turned) {
    complain(turned.error());
    return kFindings;
  }
  for (const auto& line : notes) fmt::print(stderr, "note: {}\n", line);
  UpRequest back;
  back.options = request.options;
  back.timeout = request.timeout;
  back.progress = request.progress;
  back.json = request.json;
  back.preflight = false;
  back.planned.accept_difference = request.planned.accept_difference;
  back.options.pull = "missing";
  const int went_back = deploy_session(session, args, back, fmt::format("rollback to {}", last->id));
  remove_services(session, new_services);
  if (went_back == kClean) fmt::print(stderr, "datamancy: the up failed; revision {} runs again\n", last->id);
  else fmt::print(stderr, "datamancy: the up failed, and revision {} did not come back whole\n", last->id);
  return kFindings;
}

}  // namespace dm::cli
