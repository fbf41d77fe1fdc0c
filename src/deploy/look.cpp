#include "deploy/look.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <future>
#include <map>
#include <mutex>

#include "compose/labels.hpp"
#include "deploy/workers.hpp"
#include "secrets/runtime_files.hpp"

namespace dm::deploy {

using compose::label_of;
namespace label = compose::label;

namespace {

Snapshot::Status status_of(std::string_view text) {
  using enum Snapshot::Status;
  if (text == "running") return running;
  if (text == "paused") return paused;
  if (text == "restarting") return restarting;
  if (text == "removing") return removing;
  if (text == "exited") return exited;
  if (text == "dead") return dead;
  return created;
}

Snapshot::Health health_of(std::string_view text) {
  using enum Snapshot::Health;
  if (text == "starting") return starting;
  if (text == "healthy") return healthy;
  if (text == "unhealthy") return unhealthy;
  return none;
}

milliseconds from_ns(std::int64_t ns) { return milliseconds(ns / 1000000); }

/// The files that a label names, without those that are none.
std::string lasting(const engine::Labels& labels, const char* name) { return compose::joined_paths(compose::paths_in(label_of(labels, name))); }

}  // namespace

bool users_own(std::string_view config_files) { return config_files.find("/revisions/") == std::string_view::npos || !config_files.ends_with("/compose.json"); }

Container read(const engine::Container& c, std::int64_t now_ns) {
  Container out;
  out.id = c.id;
  out.name = c.name;
  out.service = compose::service_of(c.labels);
  const auto number = label_of(c.labels, label::kNumber);
  std::from_chars(number.data(), number.data() + number.size(), out.number);
  out.one_off = compose::one_off(c.labels);
  out.image_id = c.image_id;
  out.image = c.image;
  out.config_hash = label_of(c.labels, label::kConfigHash);
  if (const auto marks = c.labels.find(std::string(secrets::kMarks)); marks != c.labels.end()) out.secret_marks = marks->second;
  out.config_files = lasting(c.labels, label::kConfigFiles);
  out.env_files = lasting(c.labels, label::kEnvFiles);
  out.working_dir = label_of(c.labels, label::kFolder);
  out.compose_version = label_of(c.labels, label::kVersion);
  out.restart_policy = c.restart.name;
  out.started = c.started;
  out.created = c.created / 1000000000;
  const auto& check = c.healthcheck;
  out.has_check = check.test.size() > 1 && check.test[0] != "NONE";
  out.check = check.test;
  out.interval = from_ns(check.interval);
  out.timeout = from_ns(check.timeout);
  out.start_period = from_ns(check.start_period);
  out.start_interval = from_ns(check.start_interval);
  out.retries = check.retries;
  for (const auto& port : c.ports)
    if (port.outside != 0) out.ports.push_back(fmt::format("{}:{}->{}/{}", port.address, port.outside, port.inside, port.protocol));
  auto& state = out.state;
  state.status = status_of(c.state);
  state.health = health_of(c.health.status);
  state.exit_code = c.exit_code;
  state.out_of_memory = c.oom_killed;
  state.restarts = c.restart_count;
  state.error = c.error;
  if (c.running && c.started > 0 && now_ns > c.started) state.running_for = from_ns(now_ns - c.started);
  return out;
}

Result<std::vector<Container>> look(engine::Engine& engine, std::string_view project, const Deadline& deadline) {
  engine::ContainerFilter filter;
  filter.labels = compose::of_project(project);
  DM_TRY(const auto list, engine.containers(filter, deadline));
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::vector<Container> out;
  std::mutex mutex;
  Result<void> worst;
  {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (auto i = next++; i < list.size(); i = next++) {
        auto container = engine.container(list[i].id, deadline);
        const std::lock_guard lock(mutex);
        if (container) out.push_back(read(*container, now));
        else if (container.error().code != Errc::not_found) worst = fail(container.error());
      }
    };
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min<std::size_t>(4, list.size()); ++i) threads.emplace_back(work);
    work();
  }
  if (!worst) return fail(worst.error());
  std::ranges::sort(out, {}, [](const Container& c) { return std::tie(c.service, c.number, c.id); });
  return out;
}

std::vector<std::pair<std::string_view, std::string_view>> marks_of(const std::vector<Container>& containers) {
  std::vector<std::pair<std::string_view, std::string_view>> out;
  for (const auto& container : containers)
    if (!container.one_off) out.emplace_back(container.service, container.secret_marks);
  return out;
}

const Container& spokesman(const std::vector<Container>& containers) {
  const auto found = std::ranges::find_if(containers, [](const Container& c) { return users_own(c.config_files); });
  return found != containers.end() ? *found : containers.front();
}

Result<std::vector<Found>> find_projects(engine::Engine& engine, const Deadline& deadline) {
  engine::ContainerFilter filter;
  filter.labels = {label::kProject};
  DM_TRY(const auto list, engine.containers(filter, deadline));
  std::map<std::string, Found> by_name;
  for (const auto& c : list) {
    if (compose::one_off(c.labels)) continue;
    const auto name = label_of(c.labels, label::kProject);
    auto& found = by_name[name];
    found.name = name;
    if (found.working_dir.empty()) found.working_dir = label_of(c.labels, label::kFolder);
    if (found.config_files.empty() || !users_own(found.config_files)) found.config_files = lasting(c.labels, label::kConfigFiles);
    if (found.compose_version.empty()) found.compose_version = label_of(c.labels, label::kVersion);
    ++found.containers;
    if (c.state == "running") ++found.running;
    if (c.health == "unhealthy") ++found.unhealthy;
  }
  std::vector<Found> out;
  for (auto& [name, found] : by_name) out.push_back(std::move(found));
  return out;
}

}  // namespace dm::deploy
