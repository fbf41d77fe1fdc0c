#include "engine/fake.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dm::engine {
namespace {

bool matches(const Labels& labels, const std::vector<std::string>& wanted) {
  return std::ranges::all_of(wanted, [&](const std::string& entry) {
    const auto cut = entry.find('=');
    const auto found = labels.find(entry.substr(0, cut));
    return found != labels.end() && (cut == std::string::npos || found->second == entry.substr(cut + 1));
  });
}

bool any_of(const std::vector<std::string>& wanted, const std::string& value) { return wanted.empty() || std::ranges::find(wanted, value) != wanted.end(); }

ContainerSummary summary_of(const Container& one) {
  ContainerSummary out{one.id, one.name, one.image, one.image_id, one.labels, one.state, one.state, one.health.status, one.created, one.ports, one.mounts, one.networks};
  if (!one.health.status.empty()) out.status += one.health.status == "starting" ? " (health: starting)" : fmt::format(" ({})", one.health.status);
  return out;
}

}  // namespace

FakeEngine::FakeEngine() {
  state_.info = {.id = "FAKE:ENGINE",
                 .name = "fakehost",
                 .product = "Docker",
                 .server_version = "26.1.5",
                 .api_version = "1.45",
                 .server_api = "1.45",
                 .min_api = "1.24",
                 .os = "linux",
                 .arch = "x86_64",
                 .cgroup_driver = "systemd",
                 .cgroup_version = 2,
                 .root_dir = "/var/lib/docker",
                 .runtimes = {"runc"},
                 .default_runtime = "runc",
                 .memory = 16ULL << 30U,
                 .cpus = 4,
                 .security_options = {"name=seccomp,profile=builtin", "name=cgroupns"},
                 .log_driver = "json-file"};
}

std::string FakeEngine::new_id() {
  ++ids_;
  return fmt::format("{:012x}{:052x}", 0xfa0000000000ULL + ids_, ids_);
}

std::string FakeEngine::add_image(const std::string& tag) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, image] : state_.images)
    if (std::ranges::find(image.tags, tag) != image.tags.end()) return id;
  Image image;
  image.id = "sha256:" + new_id();
  image.tags = {tag};
  state_.images[image.id] = image;
  return image.id;
}

std::string FakeEngine::add_container(const std::string& name, const std::string& image, Labels labels) {
  const auto image_id = add_image(image);
  const std::lock_guard lock(mutex_);
  Container one;
  one.id = new_id();
  one.name = name;
  one.image = image;
  one.image_id = image_id;
  one.labels = std::move(labels);
  one.created = one.started = clock_ += 1'000'000;
  one.state = "running";
  one.running = true;
  one.pid = static_cast<std::int64_t>(1000 + ids_);
  one.log_driver = "json-file";
  state_.containers[one.id] = one;
  return one.id;
}

void FakeEngine::on_exec(OnExec body) {
  const std::lock_guard lock(mutex_);
  on_exec_ = std::move(body);
}
void FakeEngine::on_start(std::function<void(Container&)> body) {
  const std::lock_guard lock(mutex_);
  on_start_ = std::move(body);
}
void FakeEngine::fail_next(const std::string& method, Error error) {
  const std::lock_guard lock(mutex_);
  failures_[method].push_back(std::move(error));
}
void FakeEngine::on_list(std::function<void()> body) {
  const std::lock_guard lock(mutex_);
  on_list_ = std::move(body);
}
void FakeEngine::emit(Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (event.time == 0) event.time = clock_ += 1'000'000;
    events_.push_back(std::move(event));
  }
  changed_.notify_all();
}
void FakeEngine::lose_events() {
  {
    const std::lock_guard lock(mutex_);
    ++losses_;
  }
  changed_.notify_all();
}
std::vector<std::string> FakeEngine::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}
std::size_t FakeEngine::asked(const std::string& method) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(method);
  return found == asked_.end() ? 0 : found->second;
}

Result<void> FakeEngine::enter(const std::string& method, const std::string& what, bool asks) {
  if (!asks) calls_.push_back(what.empty() ? method : method + " " + what);
  ++asked_[method];
  auto& queue = failures_[method];
  if (queue.empty()) return {};
  auto error = std::move(queue.front());
  queue.pop_front();
  return fail(std::move(error));
}

Result<Container*> FakeEngine::find(const std::string& id) {
  for (auto& [key, one] : state_.containers)
    if (key == id || one.name == id || (id.size() >= 4 && key.starts_with(id))) return &one;
  return fail(Errc::not_found, fmt::format("looking at container '{}': No such container: {}", id, id));
}

Result<Image*> FakeEngine::find_image(const std::string& name) {
  const auto tagged = name.find('@') == std::string::npos && name.rfind(':') == std::string::npos ? name + ":latest" : name;
  for (auto& [key, one] : state_.images)
    if (key == name || std::ranges::find(one.tags, name) != one.tags.end() || std::ranges::find(one.tags, tagged) != one.tags.end() ||
        std::ranges::find(one.digests, name) != one.digests.end())
      return &one;
  return fail(Errc::not_found, fmt::format("looking at image '{}': No such image: {}", name, name));
}

void FakeEngine::happened(const Container& container, const std::string& action, std::map<std::string, std::string> more) {
  more.insert(container.labels.begin(), container.labels.end());
  more.emplace("name", container.name);
  more.emplace("image", container.image);
  events_.push_back({clock_ += 1'000'000, "container", action, container.id, std::move(more)});
  changed_.notify_all();
}

void FakeEngine::started(Container& container) {
  container.state = "running";
  container.running = true;
  container.paused = container.oom_killed = false;
  container.exit_code = 0;
  container.started = clock_ += 1'000'000;
  container.pid = static_cast<std::int64_t>(1000 + ++ids_);
  if (!container.healthcheck.test.empty() && container.healthcheck.test[0] != "NONE") container.health.status = "healthy";
  if (on_start_) on_start_(container);
  happened(container, "start");
  if (!container.running) happened(container, "die", {{"exitCode", std::to_string(container.exit_code)}});
  if (container.running && !container.health.status.empty() && container.health.status != "starting") happened(container, "health_status: " + container.health.status);
}

void FakeEngine::ended(Container& container, int exit_code) {
  if (!container.running) return;
  container.state = "exited";
  container.running = container.paused = false;
  container.exit_code = exit_code;
  container.finished = clock_ += 1'000'000;
  container.pid = 0;
  happened(container, "die", {{"exitCode", std::to_string(exit_code)}});
}

Result<void> FakeEngine::ping(const Deadline&) {
  const Lock lock(mutex_);
  return enter("ping", "", true);
}
Result<Info> FakeEngine::info(const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("info", "", true));
  return state_.info;
}

Result<std::vector<ContainerSummary>> FakeEngine::containers(const ContainerFilter& filter, const Deadline&) {
  std::function<void()> before;
  {
    const Lock lock(mutex_);
    before = on_list_;
  }
  if (before) before();
  const Lock lock(mutex_);
  DM_CHECK(enter("containers", "", true));
  std::vector<ContainerSummary> out;
  for (const auto& [id, one] : state_.containers) {
    if (!filter.all && !one.running) continue;
    if (!matches(one.labels, filter.labels) || !any_of(filter.names, one.name)) continue;
    if (!filter.networks.empty() && std::ranges::none_of(one.networks, [&](const auto& entry) { return any_of(filter.networks, entry.first); })) continue;
    if (!filter.volumes.empty() && std::ranges::none_of(one.mounts, [&](const Mount& mount) { return any_of(filter.volumes, mount.name); })) continue;
    out.push_back(summary_of(one));
  }
  return out;
}

Result<Container> FakeEngine::container(const std::string& id, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("container", id, true));
  DM_TRY(const Container* one, find(id));
  return *one;
}

Result<std::string> FakeEngine::create(const NewContainer& wanted, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("create", wanted.name.empty() ? wanted.image : wanted.name));
  DM_TRY(const Image* image, find_image(wanted.image));
  if (!wanted.name.empty() && find(wanted.name)) return fail(Errc::conflict, fmt::format("creating a container: the name '{}' is in use", wanted.name));
  Container one;
  one.id = new_id();
  one.name = wanted.name.empty() ? "fake" + one.id.substr(6, 6) : wanted.name;
  one.image = wanted.image;
  one.image_id = image->id;
  one.created = clock_ += 1'000'000;
  one.state = "created";
  one.labels = wanted.labels;
  one.command = wanted.command.empty() ? image->command : wanted.command;
  one.entrypoint = wanted.entrypoint.empty() ? image->entrypoint : wanted.entrypoint;
  one.env = wanted.env;
  one.user = wanted.user;
  one.restart = wanted.restart;
  one.limits = wanted.limits;
  one.mounts = wanted.mounts;
  one.healthcheck = wanted.healthcheck.test.empty() ? image->healthcheck : wanted.healthcheck;
  one.ports = wanted.ports;
  one.read_only = wanted.read_only;
  one.log_driver = "json-file";
  one.networks[wanted.network.empty() ? "bridge" : wanted.network] = {"", wanted.aliases, "", "", ""};
  state_.containers[one.id] = one;
  happened(one, "create");
  return one.id;
}

Result<void> FakeEngine::start(const std::string& id, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("start", one->name));
  if (!one->running) started(*one);
  return {};
}
Result<void> FakeEngine::stop(const std::string& id, int, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("stop", one->name));
  if (one->running) {
    ended(*one, 0);
    happened(*one, "stop");
  }
  return {};
}
Result<void> FakeEngine::kill(const std::string& id, const std::string& signal, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("kill", one->name + " " + signal));
  if (!one->running) return fail(Errc::conflict, fmt::format("killing container '{}': it is not running", one->name));
  happened(*one, "kill", {{"signal", signal}});
  if (signal == "KILL" || signal == "SIGKILL" || signal == "9" || signal.empty()) ended(*one, 137);
  return {};
}
Result<void> FakeEngine::restart(const std::string& id, int, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("restart", one->name));
  ended(*one, 0);
  started(*one);
  happened(*one, "restart");
  return {};
}
Result<void> FakeEngine::pause(const std::string& id, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("pause", one->name));
  if (!one->running) return fail(Errc::conflict, fmt::format("pausing container '{}': it is not running", one->name));
  one->paused = true;
  one->state = "paused";
  happened(*one, "pause");
  return {};
}
Result<void> FakeEngine::unpause(const std::string& id, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("unpause", one->name));
  if (!one->paused) return fail(Errc::failed, fmt::format("unpausing container '{}': it is not paused", one->name));
  one->paused = false;
  one->state = "running";
  happened(*one, "unpause");
  return {};
}
Result<void> FakeEngine::remove(const std::string& id, bool force, bool, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("remove", one->name));
  if (one->running && !force) return fail(Errc::conflict, fmt::format("removing container '{}': it is running", one->name));
  ended(*one, 137);
  happened(*one, "destroy");
  state_.containers.erase(std::string(one->id));
  return {};
}
Result<void> FakeEngine::rename(const std::string& id, const std::string& name, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("rename", one->name + " " + name));
  if (find(name)) return fail(Errc::conflict, fmt::format("renaming container '{}': the name '{}' is in use", one->name, name));
  one->name = name;
  return {};
}
Result<int> FakeEngine::wait(const std::string& id, const Deadline& deadline) {
  Lock lock(mutex_);
  DM_CHECK(enter("wait", id, true));
  for (;;) {
    DM_TRY(const Container* one, find(id));
    if (!one->running) return one->exit_code;
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (deadline.passed()) return fail(Errc::timeout, "the engine did not answer in time");
    changed_.wait_until(lock, deadline.stop(), std::min(deadline.at(), Clock::now() + std::chrono::hours(1)), [] { return false; });
  }
}
Result<void> FakeEngine::set_restart_policy(const std::string& id, const RestartPolicy& policy, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("set_restart_policy", one->name + " " + policy.name));
  one->restart = policy;
  return {};
}
Result<void> FakeEngine::set_limits(const std::string& id, const Limits& limits, const Deadline&) {
  const Lock lock(mutex_);
  DM_TRY(Container* one, find(id));
  DM_CHECK(enter("set_limits", one->name));
  for (const auto field : {&Limits::memory, &Limits::memory_swap, &Limits::memory_reservation, &Limits::nano_cpus, &Limits::cpu_shares, &Limits::pids})
    if (limits.*field != 0) one->limits.*field = limits.*field;
  return {};
}
Result<std::vector<std::pair<std::int64_t, std::string>>> FakeEngine::processes(const std::string& id, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("processes", id, true));
  DM_TRY(const Container* one, find(id));
  return std::vector<std::pair<std::int64_t, std::string>>{{one->pid, one->command.empty() ? one->name : one->command[0]}};
}

Result<ExecResult> FakeEngine::exec(const std::string& id, const Exec& command, const Deadline&) {
  Container container;
  OnExec body;
  {
    const Lock lock(mutex_);
    DM_TRY(const Container* one, find(id));
    DM_CHECK(enter("exec", fmt::format("{} {}", one->name, fmt::join(command.argv, " "))));
    if (!one->running || one->paused) return fail(Errc::conflict, fmt::format("running '{}' in '{}': Container {} is not running", command.argv.at(0), one->name, one->id));
    container = *one;
    body = on_exec_;
  }
  std::string in;
  while (command.in) {
    DM_TRY(const std::string piece, command.in());
    if (piece.empty()) break;
    in += piece;
  }
  ExecResult result;
  result.certain = true;
  if (body) {
    DM_TRY(result, body(container, command, in));
  }
  result.out_bytes = result.out.size();
  result.err_bytes = result.err.size();
  if (command.out && !result.out.empty()) {
    DM_CHECK(command.out(result.out));
    result.out.clear();
  }
  if (command.err && !result.err.empty()) {
    DM_CHECK(command.err(result.err));
    result.err.clear();
  }
  return result;
}

Result<void> FakeEngine::logs(const std::string& id, const LogQuery&, const Sink& out, const Sink& err, const Deadline&) {
  std::pair<std::string, std::string> text;
  {
    const Lock lock(mutex_);
    DM_CHECK(enter("logs", id, true));
    DM_TRY(const Container* one, find(id));
    text = state_.logs[one->id];
  }
  if (out && !text.first.empty()) DM_CHECK(out(text.first));
  if (err && !text.second.empty()) DM_CHECK(err(text.second));
  return {};
}
Result<Stats> FakeEngine::stats(const std::string& id, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("stats", id, true));
  DM_TRY(const Container* one, find(id));
  return state_.stats[one->id];
}
Result<void> FakeEngine::get_archive(const std::string& id, const std::string& path, const Sink& tar, const Deadline&) {
  std::string bytes;
  {
    const Lock lock(mutex_);
    DM_CHECK(enter("get_archive", id + " " + path, true));
    DM_TRY(const Container* one, find(id));
    const auto found = state_.archives.find(one->id + ":" + path);
    if (found == state_.archives.end()) return fail(Errc::not_found, fmt::format("copying '{}' out of '{}': no such path", path, one->name));
    bytes = found->second;
  }
  return tar(bytes);
}
Result<void> FakeEngine::put_archive(const std::string& id, const std::string& folder, const Source& tar, const Deadline&) {
  std::string bytes;
  for (;;) {
    DM_TRY(const std::string piece, tar());
    if (piece.empty()) break;
    bytes += piece;
  }
  const Lock lock(mutex_);
  DM_TRY(const Container* one, find(id));
  DM_CHECK(enter("put_archive", one->name + " " + folder));
  state_.archives[one->id + ":" + folder] = std::move(bytes);
  return {};
}
Result<Stat> FakeEngine::stat(const std::string& id, const std::string& path, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("stat", id + " " + path, true));
  DM_TRY(const Container* one, find(id));
  const auto found = state_.archives.find(one->id + ":" + path);
  if (found == state_.archives.end()) return fail(Errc::not_found, fmt::format("looking for '{}' in '{}': there is no such path", path, one->name));
  return Stat{path.substr(path.rfind('/') + 1), found->second.size(), 0644, false, false, ""};
}

Result<std::vector<Image>> FakeEngine::images(const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("images", "", true));
  std::vector<Image> out;
  for (const auto& [id, one] : state_.images) out.push_back(one);
  return out;
}
Result<Image> FakeEngine::image(const std::string& name, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("image", name, true));
  DM_TRY(const Image* one, find_image(name));
  return *one;
}
Result<void> FakeEngine::remove_image(const std::string& name, bool, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("remove_image", name));
  DM_TRY(const Image* one, find_image(name));
  state_.images.erase(std::string(one->id));
  return {};
}
Result<void> FakeEngine::tag_image(const std::string& name, const std::string& new_name, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("tag_image", name + " " + new_name));
  DM_TRY(Image* wanted, find_image(name));
  for (auto& [id, one] : state_.images) std::erase(one.tags, new_name);
  wanted->tags.push_back(new_name);
  return {};
}

Result<std::vector<Network>> FakeEngine::networks(const std::vector<std::string>& labels, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("networks", "", true));
  std::vector<Network> out;
  for (const auto& [name, one] : state_.networks)
    if (matches(one.labels, labels)) out.push_back(one);
  return out;
}
Result<Network> FakeEngine::network(const std::string& name, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("network", name, true));
  for (const auto& [key, one] : state_.networks)
    if (key == name || one.id == name) return one;
  return fail(Errc::not_found, fmt::format("looking at network '{}': network {} not found", name, name));
}
Result<std::string> FakeEngine::create_network(const NewNetwork& wanted, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("create_network", wanted.name));
  if (state_.networks.contains(wanted.name)) return fail(Errc::conflict, fmt::format("creating network '{}': it exists", wanted.name));
  Network one;
  one.id = new_id();
  one.name = wanted.name;
  one.driver = wanted.driver;
  one.internal = wanted.internal;
  one.labels = wanted.labels;
  one.created = clock_ += 1'000'000;
  state_.networks[wanted.name] = one;
  return one.id;
}
Result<void> FakeEngine::remove_network(const std::string& name, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("remove_network", name));
  const auto gone = std::erase_if(state_.networks, [&](const auto& entry) { return entry.first == name || entry.second.id == name; });
  if (gone == 0) return fail(Errc::not_found, fmt::format("removing network '{}': network {} not found", name, name));
  return {};
}
Result<void> FakeEngine::connect(const std::string& network, const std::string& container, const std::vector<std::string>& aliases, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("connect", network + " " + container));
  DM_TRY(Container* one, find(container));
  one->networks[network] = {"", aliases, "", "", ""};
  return {};
}
Result<void> FakeEngine::disconnect(const std::string& network, const std::string& container, bool, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("disconnect", network + " " + container));
  DM_TRY(Container* one, find(container));
  if (one->networks.erase(network) == 0) return fail(Errc::failed, fmt::format("disconnecting '{}' from network '{}': it is not connected", container, network));
  return {};
}

Result<std::vector<Volume>> FakeEngine::volumes(const std::vector<std::string>& labels, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("volumes", "", true));
  std::vector<Volume> out;
  for (const auto& [name, one] : state_.volumes)
    if (matches(one.labels, labels)) out.push_back(one);
  return out;
}
Result<Volume> FakeEngine::volume(const std::string& name, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("volume", name, true));
  const auto found = state_.volumes.find(name);
  if (found == state_.volumes.end()) return fail(Errc::not_found, fmt::format("looking at volume '{}': no such volume", name));
  return found->second;
}
Result<Volume> FakeEngine::create_volume(const std::string& name, const Labels& labels, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("create_volume", name));
  auto& one = state_.volumes[name];  // as the engine: an existing one is given back
  if (one.name.empty()) one = {name, "local", "/var/lib/docker/volumes/" + name + "/_data", {}, labels, clock_ += 1'000'000};
  return one;
}
Result<void> FakeEngine::remove_volume(const std::string& name, bool, const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("remove_volume", name));
  for (const auto& [id, one] : state_.containers)
    if (std::ranges::any_of(one.mounts, [&](const Mount& mount) { return mount.name == name; }))
      return fail(Errc::conflict, fmt::format("removing volume '{}': volume is in use - [{}]", name, id));
  if (state_.volumes.erase(name) == 0) return fail(Errc::not_found, fmt::format("removing volume '{}': no such volume", name));
  return {};
}

Result<void> FakeEngine::events(const EventQuery& query, const std::function<void()>& on_subscribed, const OnEvent& on_event, const Deadline& deadline) {
  std::size_t next = 0;
  std::size_t losses = 0;
  {
    const Lock lock(mutex_);
    DM_CHECK(enter("events", "", true));
    next = query.since == 0 ? events_.size() : 0;
    losses = losses_;
  }
  if (on_subscribed) on_subscribed();
  for (;;) {
    Event event;
    {
      Lock lock(mutex_);
      while (next == events_.size()) {
        if (losses != losses_) return fail(Errc::unavailable, "following the engine's events: the engine ended the stream");
        if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
        if (deadline.passed()) return fail(Errc::timeout, "the engine did not answer in time");
        changed_.wait_until(lock, deadline.stop(), std::min(deadline.at(), Clock::now() + std::chrono::hours(1)),
                            [&] { return next != events_.size() || losses != losses_; });
      }
      event = events_[next++];
    }
    if (event.time < query.since || !any_of(query.types, event.type) || !matches(event.attributes, query.labels)) continue;
    if (!any_of(query.actions, event.action) && std::ranges::none_of(query.actions, [&](const auto& action) { return action == "health_status" && event.action.starts_with(action); })) continue;
    DM_CHECK(on_event(event));
  }
}

Result<DiskUsage> FakeEngine::disk_usage(const Deadline&) {
  const Lock lock(mutex_);
  DM_CHECK(enter("disk_usage", "", true));
  return state_.disk;
}

}  // namespace dm::engine
