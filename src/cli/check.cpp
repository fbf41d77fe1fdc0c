#include "deploy/check.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>

#include "audit/rule.hpp"
#include "cli/deploying.hpp"
#include "cli/judge.hpp"
#include "cli/login.hpp"
#include "compose/units.hpp"
#include "deploy/look.hpp"
#include "deploy/preflight.hpp"
#include "host/cgroup.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::cli {
namespace {

using namespace std::chrono_literals;

std::int64_t now_seconds() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

bool names(std::string_view list, std::string_view id) { return (" " + std::string(list) + " ").find(" " + std::string(id) + " ") != std::string::npos; }

bool wants_gpu(const compose::Service& service) {
  if (service.node == nullptr) return false;
  const auto* devices = service.node->at({"deploy", "resources", "reservations", "devices"});
  return (devices != nullptr && devices->is_sequence() && !devices->items->empty()) || service.node->find("gpus") != nullptr;
}

/// Asks inside the container of each service that wants one.
deploy::Tried look_for_gpu(Session& session, const std::vector<deploy::Container>& containers) {
  deploy::Tried out{deploy::Answer::not_applicable, "no service asks for one"};
  for (const auto& service : session.project().services) {
    if (!session.services.contains(service.name) || !wants_gpu(service)) continue;
    out = {deploy::Answer::unknown, fmt::format("{} does not run", service.name)};
    for (const auto& container : containers) {
      if (container.service != service.name || container.state.status != deploy::Snapshot::Status::running) continue;
      engine::Exec exec;
      exec.argv = {"nvidia-smi", "-L"};
      const auto done = session.engine->exec(container.id, exec, session.within(30s));
      if (!done) return {deploy::Answer::unknown, fmt::format("nvidia-smi cannot be run in {}: {}", service.name, done.error().message)};
      if (done->exit_code == 126 || done->exit_code == 127) return {deploy::Answer::unknown, fmt::format("{} has no nvidia-smi to ask", service.name)};
      if (!done->fine()) return {deploy::Answer::fail, fmt::format("nvidia-smi in {} ends with {}", service.name, done->exit_code)};
      out = {deploy::Answer::pass, fmt::format("{} sees {}", service.name, done->out.substr(0, done->out.find('\n')))};
    }
    if (out.answer != deploy::Answer::pass) return out;
  }
  return out;
}

/// Our own verbs make what is missing; what they say goes to standard error.
void make_proofs(const Args& args, Session& session) {
  std::vector<std::string> base;
  for (const auto& file : args.project.files) base.insert(base.end(), {"-f", file});
  if (!args.project.project_name.empty()) base.insert(base.end(), {"-p", args.project.project_name});
  if (!args.project.project_directory.empty()) base.insert(base.end(), {"--project-directory", args.project.project_directory});
  for (const auto& profile : args.project.profiles) base.insert(base.end(), {"--profile", profile});
  for (const auto& file : args.project.env_files) base.insert(base.end(), {"--env-file", file});
  if (!args.host.empty()) base.insert(base.end(), {"-H", args.host});
  if (!args.context.empty()) base.insert(base.end(), {"--context", args.context});
  const std::vector<std::vector<std::string>> steps{{"backup", "run"}, {"backup", "verify"}, {"drill", "restore", "--all"}};
  for (const auto& step : steps) {
    Command command;
    command.argv = {"/proc/self/exe"};
    command.argv.insert(command.argv.end(), base.begin(), base.end());
    command.argv.insert(command.argv.end(), step.begin(), step.end());
    Streams streams;
    const auto say = [](std::string_view piece) -> Result<void> {
      fmt::print(stderr, "{}", piece);
      return {};
    };
    streams.out = streams.err = say;
    std::string name;
    for (const auto& word : step) name += " " + word;
    fmt::print(stderr, "running: datamancy{}\n", name);
    const auto done = run_process(command, streams, session.within(2h));
    if (!done || !done->fine()) {
      fmt::print(stderr, "datamancy{}: {}\n", name, done ? fmt::format("exit status {}", done->status) : done.error().message);
      return;
    }
  }
}

}  // namespace

int check(Args& args) {
  const bool json = args.has("--json");
  const bool run = args.has("--run");
  if (args.has("--all")) args.project.profiles.emplace_back("*");
  std::string free = "50g";
  args.option("--min-free", free);
  Login login;
  args.option("--login-url", login.url);
  args.option("--login-user", login.user);
  args.option("--login-password-file", login.password_file);
  args.option("--login-ca", login.ca);
  args.option("--login-resolve", login.resolve);
  std::string health_url = "http://127.0.0.1:8089/healthz";
  args.option("--healthz", health_url);
  const auto bytes = compose::parse_bytes(free);
  if (!bytes) {
    fmt::print(stderr, "datamancy: --min-free wants a size such as 50g, not '{}'\n", free);
    return kUsage;
  }
  if (!args.words.empty()) return unknown("check", args.words[0]);
  // What the files say, judged once by the rules: leniently, on a copy.
  Args copy = args;
  Judged judged;
  if (!judge(copy, "", judged)) return kFailed;
  Session session;
  int exit = kFailed;
  if (!open_session(args, {}, session, exit)) return exit;
  const auto db = session.open_store();
  if (!db) return complain(db.error());
  if (run) make_proofs(args, session);
  const auto around = deploy::gather(*session.engine, session.wiring, session.services, session.within(60s));
  if (!around) return complain(around.error());
  Planned planned;
  planned.accept_difference = true;
  if (!make_plan(session, args, planned, exit)) return exit;
  deploy::CheckInput input{.wiring = session.wiring, .services = session.services};
  input.containers = planned.containers;
  for (const auto& container : input.containers) {
    const auto seen = session.engine->container(container.id, session.within(30s));
    if (!seen) continue;
    deploy::InForce force{.memory_configured = seen->limits.memory, .log_driver = seen->log_driver, .log_options = seen->log_options};
    if (around->local && seen->pid > 0)
      if (const auto folders = host::cgroup_folders(seen->pid))
        if (const auto limit = host::read_cgroup(*folders).memory_limit) force.memory_cgroup = *limit == 0 ? std::numeric_limits<std::uint64_t>::max() : *limit;
    input.in_force[container.id] = std::move(force);
  }
  for (const auto& room : around->rooms) input.rooms.emplace_back(room.disk, room.of.empty() ? "" : room.of.front());
  input.local = around->local;
  input.want_free = *bytes;
  for (const auto& finding : judged.findings) {
    if (!finding.suppressed_by.empty() || finding.severity == audit::Severity::info) continue;
    if (names("DM0301 DM0302 DM0304 DM0311", finding.rule->id)) input.weak_checks.push_back(finding.message);
    if (names("DM0501 DM0502 DM0505 DM0510 DM0520 DM0521", finding.rule->id)) input.plain_secrets.push_back(finding.message);
  }
  for (const auto& [name, definition] : session.project().environment) {
    if (!sensitive::secret_name(name) || definition.value.empty() || sensitive::looks_hashed(definition.value) || !definition.where) continue;
    const auto& path = session.project().texts.at(definition.where.file).path;
    if (!session.handover->files().secret(path)) input.plain_secrets.push_back(fmt::format("{} is readable in {}", name, path.substr(path.find_last_of('/') + 1)));
  }
  for (const auto* list : {&session.handover->secrets().files, &session.handover->secrets().service_files})
    for (const auto& file : *list) input.sealed_files.emplace_back(sources::relative_to(file.path, session.project().folder));
  for (const auto& service : session.project().services) {
    input.has_secrets = input.has_secrets || !service.secrets.empty();
    for (const auto& variable : service.environment)
      input.has_secrets = input.has_secrets || (sensitive::secret_name(variable.name) && !variable.value.value.empty());
  }
  input.gpu = look_for_gpu(session, input.containers);
  input.login = try_login(login, session.within(60s));
  input.orchestrator = ask_health(health_url, session.within(10s));
  input.present = deploy::present_of(session.engine_id, input.containers);
  input.now = now_seconds();
  input.proofs = state::newest_proofs(**db);
  for (const auto& step : planned.plan.steps)
    if (step.change != deploy::Change::none) input.pending.push_back(fmt::format("{} {}: {}", deploy::to_string(step.change), step.service, step.why));
  for (const auto& one : planned.plan.surplus) input.pending.push_back(fmt::format("remove {}: {}", one.name, one.why));
  for (const auto& problem : deploy::preflight({.wiring = session.wiring, .services = session.services, .around = *around, .want_free = *bytes}))
    input.obstacles.push_back(fmt::format("{}: {}", problem.check, problem.what));
  const auto items = deploy::check(input);
  // What was seen live is a proof for as long as a day, bound to exactly these containers.
  for (const auto& item : items) {
    if (item.control.empty() || item.answer == deploy::Answer::not_applicable || item.answer == deploy::Answer::unknown || item.evidence.starts_with("proven before")) continue;
    state::add(**db, {.control = item.control, .subject = "", .result = item.answer == deploy::Answer::pass ? state::Outcome::verified : state::Outcome::failed,
                      .evidence = item.evidence, .made = input.now, .expires = input.now + 86400, .binding = input.present.whole, .command = "datamancy check"});
  }
  if (!write_output("", json ? deploy::check_json(items, session.project().name) : deploy::check_text(items, session.project().name))) return kFailed;
  return deploy::all_pass(items) ? kClean : kFindings;
}

}  // namespace dm::cli
