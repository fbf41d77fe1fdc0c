// How an `up` ended, for people and scripts.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/json.hpp"
#include "deploy/bring_up.hpp"
#include "deploy/look.hpp"
#include "deploy/preflight.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::deploy {
namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

/// Printable: no control characters that could repaint a terminal.
std::string clean(std::string_view line) {
  std::string out;
  for (const char c : line) out += static_cast<unsigned char>(c) < 32 || c == 127 ? ' ' : c;
  while (out.ends_with(' ')) out.pop_back();
  return out.size() > 500 ? out.substr(0, 500) + "..." : out;
}

}  // namespace

std::vector<std::string> log_tail(engine::Engine& engine, const std::string& id, int lines, const Deadline& deadline) {
  std::string text;
  const Sink sink = [&](std::string_view piece) -> Result<void> {
    text.append(piece);
    if (text.size() > 262144) text.erase(0, text.size() - 262144);
    return {};
  };
  engine::LogQuery query;
  query.tail = lines;
  (void)engine.logs(id, query, sink, sink, deadline).has_value();
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    if (auto line = clean(sensitive::mask_line(std::string_view(text).substr(at, end - at))); !line.empty()) out.push_back(std::move(line));
    at = end + 1;
  }
  if (out.size() > static_cast<std::size_t>(lines)) out.erase(out.begin(), out.end() - lines);
  return out;
}

std::vector<std::string> health_tail(engine::Engine& engine, const std::string& id, const Deadline& deadline) {
  std::vector<std::string> out;
  const auto container = engine.container(id, deadline);
  if (!container) return out;
  for (const auto& entry : container->health.log) {
    if (entry.exit_code == 0) continue;
    const auto text = clean(sensitive::mask_line(std::string_view(entry.output).substr(0, entry.output.find('\n', 1))));
    auto line = fmt::format("exit {}{}", entry.exit_code, text.empty() ? ", no output" : ": " + text);
    if (out.empty() || out.back() != line) out.push_back(std::move(line));
  }
  if (out.size() > 2) out.erase(out.begin(), out.end() - 2);
  if (container->health.status == "starting" && container->health.log.empty())
    if (const auto info = engine.info(deadline); info && info->product == "Podman")
      out.emplace_back("Podman has not asked it once: it does so by timers of systemd, and where no systemd runs nobody does");
  return out;
}

std::string no_room(engine::Engine& engine, const Deadline& deadline) {
  if (!engine.description().starts_with("unix:")) return {};
  const auto info = engine.info(deadline);
  if (!info || info->root_dir.empty()) return {};
  const auto disk = host::disk(info->root_dir);
  if (!disk || (disk->free >= 16U << 20U && (disk->inodes == 0 || disk->inodes_free > 0))) return {};
  return fmt::format("no space left on device: {} and {} inodes free at {}, where the engine's data lie: it can neither create nor start, nor run "
                     "healthchecks", size_text(disk->free), disk->inodes_free, disk->mount);
}

void conclude(UpOutcome& outcome, const Plan& plan, const Gate& gate, const std::vector<std::string>& failures, Clock::time_point begin, engine::Engine& engine) {
  outcome.notices = gate.notices();
  const auto limit = Deadline::in(std::chrono::seconds(20));
  if (outcome.containers.empty()) {
    if (auto containers = look(engine, plan.project, limit)) outcome.containers = *std::move(containers);
    else outcome.notices.push_back(fmt::format("how the containers are now is not known: {}", containers.error().describe()));
  }
  std::map<std::string, std::vector<std::string>> waiting;
  for (const auto& step : plan.steps)
    if (const auto& view = gate.view(step.service); view.phase == Phase::blocked && !view.first_cause.empty()) waiting[view.first_cause].push_back(step.service);
  const auto end_of = [&](const Step& step) {
    Ended ended{.service = step.service, .view = gate.view(step.service)};
    if (ended.view.passed > begin) ended.seconds = std::chrono::duration<double>(ended.view.passed - begin).count();
    if (step.job.start) outcome.ready_seconds = std::max(outcome.ready_seconds, ended.seconds);
    ended.waiting = waiting[step.service];
    return ended;
  };
  std::vector<Ended> causes, blocked, rest;
  for (const auto& service : failures) {
    auto ended = end_of(*std::ranges::find(plan.steps, service, &Step::service));
    for (const auto& container : outcome.containers) {
      if (container.service != service || container.one_off) continue;
      if (ended.log.empty()) ended.log = log_tail(engine, container.id, 15, limit);
      if (ended.health.empty()) ended.health = health_tail(engine, container.id, limit);
    }
    causes.push_back(std::move(ended));
  }
  for (const auto& step : plan.steps) {
    const auto phase = gate.view(step.service).phase;
    if (phase == Phase::failed) continue;
    (phase == Phase::blocked ? blocked : rest).push_back(end_of(step));
  }
  if (!causes.empty() || !outcome.creation_error.empty())
    if (auto full = no_room(engine, limit); !full.empty()) outcome.notices.push_back(std::move(full));
  outcome.fine = causes.empty() && blocked.empty() && outcome.creation_error.empty() && !outcome.interrupted;
  for (auto* list : {&causes, &blocked, &rest})
    for (auto& ended : *list) outcome.services.push_back(std::move(ended));
}

std::string outcome_text(const UpOutcome& outcome, const std::string& project) {
  std::string text;
  std::size_t good = 0;
  for (const auto& ended : outcome.services) {
    if (!is_bad(ended.view.phase)) {
      good += ended.view.phase == Phase::ready || ended.view.phase == Phase::done ? 1 : 0;
      continue;
    }
    if (ended.view.phase == Phase::blocked) {
      if (ended.view.first_cause.empty()) text += fmt::format("{}: not started: {}\n", ended.service, ended.view.why);
      continue;
    }
    text += fmt::format("{}: {}\n", ended.service, ended.view.why);
    for (const auto& line : ended.health) text += fmt::format("  healthcheck: {}\n", line);
    for (const auto& line : ended.log) text += fmt::format("  log: {}\n", line);
    if (!ended.waiting.empty()) text += fmt::format("  not started because of it: {}\n", joined(ended.waiting));
  }
  // Where it is the reason of a service it was said there.
  const bool told = std::ranges::any_of(outcome.services, [&](const Ended& ended) { return ended.view.why.find(outcome.creation_error) != std::string::npos; });
  if (!outcome.creation_error.empty() && !told) text += fmt::format("creating failed: {}\n", outcome.creation_error);
  for (const auto& notice : outcome.notices) text += fmt::format("note: {}\n", notice);
  if (outcome.interrupted) {
    text += fmt::format("{}: interrupted: {} of {} services are up, nothing was undone; 'datamancy up' goes on from here\n", project, good, outcome.services.size());
  } else if (outcome.fine) {
    text += fmt::format("{}: {} services up and stable in {:.1f} s (ready after {:.1f} s)\n", project, good, outcome.seconds, outcome.ready_seconds);
  } else {
    text += fmt::format("{}: NOT up: {} of {} services are ready ({:.1f} s)\n", project, good, outcome.services.size(), outcome.seconds);
  }
  return text;
}

std::string outcome_json(const UpOutcome& outcome, const std::string& project) {
  JsonWriter json;
  json.begin_object().key("version").value(std::int64_t{1}).key("project").value(project).key("up").value(outcome.fine).key("interrupted").value(outcome.interrupted);
  json.key("seconds").raw(fmt::format("{:.3f}", outcome.seconds)).key("ready_seconds").raw(fmt::format("{:.3f}", outcome.ready_seconds));
  json.key("create_seconds").raw(fmt::format("{:.3f}", outcome.create_seconds));
  if (!outcome.creation_error.empty()) json.key("creation_error").value(outcome.creation_error);
  const auto list = [&](const char* key, const std::vector<std::string>& items) {
    if (items.empty()) return;
    json.key(key).begin_array();
    for (const auto& item : items) json.value(item);
    json.end();
  };
  json.key("services").begin_array();
  for (const auto& ended : outcome.services) {
    json.begin_object().key("service").value(ended.service).key("state").value(to_string(ended.view.phase)).key("stable").value(ended.view.stable);
    json.key("why").value(ended.view.why).key("ready_after").raw(fmt::format("{:.3f}", ended.seconds));
    list("log", ended.log);
    list("health", ended.health);
    list("blocks", ended.waiting);
    json.end();
  }
  json.end();
  list("notices", outcome.notices);
  json.end();
  return json.take() + "\n";
}

}  // namespace dm::deploy
