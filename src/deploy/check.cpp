#include "deploy/check.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/json.hpp"
#include "deploy/plan.hpp"
#include "deploy/preflight.hpp"

namespace dm::deploy {
namespace {

using compose::Service;
using Health = Snapshot::Health;
using Status = Snapshot::Status;

std::vector<const Container*> of(const CheckInput& input, std::string_view service) {
  std::vector<const Container*> out;
  for (const auto& container : input.containers)
    if (!container.one_off && container.service == service) out.push_back(&container);
  return out;
}

bool one_shot(const CheckInput& input, std::string_view service) {
  const auto id = input.wiring.id_of(service);
  return id != wiring::kNone && input.wiring.one_shot[id];
}

std::vector<const Service*> chosen(const CheckInput& input) {
  std::vector<const Service*> out;
  for (const auto& service : input.wiring.project->services)
    if (input.services.contains(service.name) && replicas_of(service) > 0) out.push_back(&service);
  return out;
}

CheckItem services_up(const CheckInput& input) {
  CheckItem item{.id = "O31", .title = "all services start", .prove = "datamancy up --all", .control = "R04"};
  std::size_t good = 0, jobs = 0;
  for (const auto* service : chosen(input)) {
    const auto list = of(input, service->name);
    if (list.size() < replicas_of(*service)) item.details.push_back(fmt::format("{}: {} of {} containers", service->name, list.size(), replicas_of(*service)));
    for (const auto* c : list) {
      const auto& s = c->state;
      if (one_shot(input, service->name)) {
        if (s.status == Status::exited && s.exit_code == 0) ++jobs;
        else item.details.push_back(fmt::format("{}: {}", service->name, s.status == Status::exited ? fmt::format("exit code {}", s.exit_code) : "did not run to its end"));
      } else if (s.status != Status::running) {
        item.details.push_back(fmt::format("{}: does not run (exit code {})", service->name, s.exit_code));
      } else if (c->has_check && s.health != Health::healthy) {
        item.details.push_back(fmt::format("{}: {}", service->name, s.health == Health::starting ? "still starting" : "unhealthy"));
      } else {
        ++good;
      }
    }
  }
  item.answer = item.details.empty() && good + jobs > 0 ? Answer::pass : Answer::fail;
  item.evidence = fmt::format("{} containers run{}, {} one-shots ended with 0", good, good > 0 ? " and are healthy where they have a check" : "", jobs);
  return item;
}

CheckItem gpu(const CheckInput& input) {
  CheckItem item{.id = "O32", .title = "the GPU is visible inside the engine", .prove = "docker exec CONTAINER nvidia-smi -L", .control = "R09"};
  item.answer = input.gpu.answer;
  item.evidence = input.gpu.evidence;
  return item;
}

CheckItem disk(const CheckInput& input) {
  CheckItem item{.id = "O33", .title = fmt::format("{} free where volumes and engine lie", size_text(input.want_free)), .prove = "df -h; df -i", .control = "R52"};
  if (!input.local || input.rooms.empty()) {
    item.evidence = "the engine runs on another machine; its disks cannot be seen from here";
    return item;
  }
  item.answer = Answer::pass;
  for (const auto& [room, what] : input.rooms) {
    const bool inodes = room.inodes == 0 || room.inodes_free * 20 >= room.inodes;
    if (room.free < input.want_free || !inodes) item.answer = Answer::fail;
    item.evidence += fmt::format("{}{} at {}{}", item.evidence.empty() ? "" : "; ", size_text(room.free), room.mount, inodes ? "" : ", few inodes");
    item.details.push_back(fmt::format("{}: {} free of {}, {} inodes free ({})", room.mount, size_text(room.free), size_text(room.total), room.inodes_free, what));
  }
  return item;
}

/// What the proofs of these controls say, which are about one thing: one of them that is good throughout will do.
state::Standing stands(const CheckInput& input, std::initializer_list<std::string_view> controls) {
  state::Standing out;
  for (const auto control : controls) {
    auto one = state::standing(input.proofs, control, input.present, input.now, [&](std::string_view service) { return input.wiring.id_of(service) != wiring::kNone; });
    if (out.good == nullptr && one.void_reason.empty()) out.good = one.good;
    if (out.failed == nullptr) out.failed = one.failed;
    if (out.void_reason.empty()) out.void_reason = std::move(one.void_reason);
  }
  return out;
}

/// The evidence of a proof, or why there is none that counts.
std::string told(const state::Standing& standing, std::string_view otherwise) {
  const auto* proof = standing.failed != nullptr ? standing.failed : standing.good;
  return proof != nullptr ? proof->evidence : standing.void_reason.empty() ? std::string(otherwise) : standing.void_reason;
}

CheckItem backup(const CheckInput& input) {
  CheckItem item{.id = "O34", .title = "backup and restore work", .prove = "datamancy backup run, datamancy backup verify, datamancy drill restore --all", .control = ""};
  auto stores = input.wiring.lasting_datastores();
  std::erase_if(stores, [&](const std::string& name) { return !input.services.contains(name); });
  bool data = !stores.empty();
  for (const auto* service : chosen(input))
    for (const auto& mount : service->mounts) data = data || (mount.type == compose::Mount::Type::volume && !mount.read_only);
  if (!data) {
    item.answer = Answer::not_applicable;
    item.evidence = "no service keeps data";
    return item;
  }
  const auto saved = stands(input, {"R72", "backup.verify"});
  const auto restored = stands(input, {"R73", "drill.restore"});
  const auto back = state::came_back(input.proofs, stores, input.present, input.now);
  for (const auto& [name, why] : back.lacking) item.details.push_back(fmt::format("{}: restore {}", name, why));
  const bool bad = saved.failed != nullptr || restored.failed != nullptr;
  // What came back equal was saved: that says more than reading the repository does.
  const bool implied = saved.good == nullptr && restored.good != nullptr && !back.proven.empty();
  if (bad) item.answer = Answer::fail;
  else if ((saved.good != nullptr || implied) && restored.good != nullptr && back.lacking.empty()) item.answer = Answer::pass;
  item.evidence = fmt::format("backup: {}; restore: {}", implied && !bad ? "what was restored came out of it" : told(saved, "never read back"), told(restored, "never done"));
  if (!stores.empty()) item.evidence += fmt::format("; {} of {} datastores proven to come back", back.proven.size(), stores.size());
  return item;
}

CheckItem healthy(const CheckInput& input) {
  CheckItem item{.id = "O35", .title = "no unhealthy container, and the checks mean something", .prove = "datamancy status; datamancy audit; datamancy drill health", .control = "R42"};
  std::size_t checked = 0, unchecked = 0;
  for (const auto* service : chosen(input)) {
    if (one_shot(input, service->name)) continue;
    for (const auto* c : of(input, service->name)) {
      (c->has_check ? checked : unchecked) += 1;
      if (c->state.status == Status::restarting || c->state.restarts > 0) item.details.push_back(fmt::format("{}: restarted {} times", service->name, c->state.restarts));
      if (c->state.status == Status::running && c->state.health == Health::unhealthy) item.details.push_back(fmt::format("{}: unhealthy", service->name));
      if (c->state.status == Status::running && c->state.health == Health::starting &&
          c->state.running_for > budget_of(c->start_period, c->interval, c->timeout, c->retries))
        item.details.push_back(fmt::format("{}: starting for ever", service->name));
    }
    if (of(input, service->name).empty()) item.details.push_back(fmt::format("{}: missing", service->name));
  }
  const auto live = item.details.size();
  for (const auto& weak : input.weak_checks) item.details.push_back("check: " + weak);
  item.answer = !item.details.empty() ? Answer::fail : checked + unchecked == 0 ? Answer::unknown : Answer::pass;
  item.evidence = fmt::format("{} containers with a healthcheck, {} without; {} in trouble, {} findings about checks", checked, unchecked, live, input.weak_checks.size());
  return item;
}

CheckItem memory(const CheckInput& input) {
  CheckItem item{.id = "O36", .title = "memory limits are in force", .prove = "docker inspect -f '{{.HostConfig.Memory}}' CONTAINER", .control = "R47"};
  std::size_t right = 0, unseen = 0;
  for (const auto* service : chosen(input))
    for (const auto* c : of(input, service->name)) {
      const auto found = input.in_force.find(c->id);
      if (found == input.in_force.end()) continue;
      const auto wanted = service->limits.memory.value_or(0);
      const auto& f = found->second;
      if (wanted == 0) {
        if (!one_shot(input, service->name)) item.details.push_back(fmt::format("{}: no limit in the files", service->name));
      } else if (static_cast<std::uint64_t>(f.memory_configured) != wanted) {
        item.details.push_back(fmt::format("{}: the files say {}, the container has {}", service->name, size_text(wanted), f.memory_configured == 0 ? "none" : size_text(static_cast<std::uint64_t>(f.memory_configured))));
      } else if (c->state.status == Status::running && f.memory_cgroup && *f.memory_cgroup / 65536 != wanted / 65536) {  // the kernel rounds to pages
        item.details.push_back(fmt::format("{}: the files say {}, the kernel enforces {}", service->name, size_text(wanted), size_text(*f.memory_cgroup)));
      } else {
        ++right;
        if (!f.memory_cgroup && !(one_shot(input, service->name) && c->state.status == Status::exited)) ++unseen;
      }
    }
  item.answer = !item.details.empty() ? Answer::fail : right == 0 || unseen > 0 ? Answer::unknown : Answer::pass;
  item.evidence = fmt::format("{} containers have the limit of the files{}", right, unseen > 0 ? fmt::format("; of {} the control group could not be read (not running, or another machine)", unseen) : " in their control group");
  return item;
}

CheckItem secrets(const CheckInput& input) {
  CheckItem item{.id = "O37", .title = "secrets are encrypted", .prove = "datamancy secrets scan; datamancy secrets seal", .control = "R24"};
  if (!input.has_secrets) {
    item.answer = Answer::not_applicable;
    item.evidence = "no variable or file of this project is named like a secret";
    return item;
  }
  item.details = input.plain_secrets;
  item.answer = !input.plain_secrets.empty() ? Answer::fail : input.sealed_files.empty() ? Answer::unknown : Answer::pass;
  std::string sealed;
  for (const auto& file : input.sealed_files) sealed += (sealed.empty() ? "" : ", ") + file;
  item.evidence = !input.plain_secrets.empty() ? fmt::format("{} places with readable secrets", input.plain_secrets.size())
                  : sealed.empty() ? "no readable secret was found, but no sealed file either: where they come from is not known" : "sealed: " + sealed;
  return item;
}

CheckItem rotation(const CheckInput& input) {
  CheckItem item{.id = "O38", .title = "logs rotate", .prove = "docker inspect -f '{{json .HostConfig.LogConfig}}' CONTAINER", .control = "R50"};
  std::map<std::string, std::size_t> kinds;
  for (const auto* service : chosen(input))
    for (const auto* c : of(input, service->name)) {
      const auto found = input.in_force.find(c->id);
      if (found == input.in_force.end()) continue;
      const auto& driver = found->second.log_driver;
      const auto size = found->second.log_options.find("max-size");
      if (driver == "json-file" && size == found->second.log_options.end()) item.details.push_back(fmt::format("{}: json-file without max-size grows for ever", service->name));
      else if (driver == "json-file") ++kinds[fmt::format("json-file with max-size {}", size->second)];
      else ++kinds[driver.empty() ? "unknown driver" : driver];  // local, journald, none and remote ones bound themselves
    }
  for (const auto& [kind, count] : kinds) item.evidence += fmt::format("{}{}: {}", item.evidence.empty() ? "" : "; ", kind, count);
  item.answer = !item.details.empty() ? Answer::fail : kinds.empty() || kinds.contains("unknown driver") ? Answer::unknown : Answer::pass;
  if (item.evidence.empty()) item.evidence = item.details.empty() ? "no container" : fmt::format("{} containers without rotation", item.details.size());
  return item;
}

CheckItem tried(const CheckInput& input, std::string id, std::string title, std::string prove, std::string control, const Tried& now) {
  CheckItem item{.id = std::move(id), .title = std::move(title), .prove = std::move(prove), .control = std::move(control)};
  item.answer = now.answer;
  item.evidence = now.evidence;
  if (item.answer != Answer::unknown) return item;
  if (const auto* proof = stands(input, {item.control}).good; proof != nullptr) {
    item.answer = Answer::pass;
    item.evidence = fmt::format("proven before: {}", proof->evidence);
  }
  return item;
}

CheckItem as_files_say(const CheckInput& input) {
  CheckItem item{.id = "D1", .title = "what runs is what the files say", .prove = "datamancy plan", .control = ""};
  item.details = input.pending;
  item.answer = input.pending.empty() ? Answer::pass : Answer::fail;
  item.evidence = input.pending.empty() ? "an up would change nothing: configuration hashes, images and mounted files agree" : fmt::format("an up would change {} services", input.pending.size());
  return item;
}

CheckItem unobstructed(const CheckInput& input) {
  CheckItem item{.id = "D2", .title = "preflight finds nothing in the way", .prove = "datamancy preflight", .control = ""};
  item.details = input.obstacles;
  item.answer = input.obstacles.empty() ? Answer::pass : Answer::fail;
  item.evidence = input.obstacles.empty() ? "no obstacle" : fmt::format("{} obstacles", input.obstacles.size());
  return item;
}

}  // namespace

std::string_view to_string(Answer answer) {
  switch (answer) {
    case Answer::pass: return "pass";
    case Answer::fail: return "fail";
    case Answer::unknown: return "unknown";
    case Answer::not_applicable: return "not applicable";
  }
  return "unknown";
}

std::vector<CheckItem> check(const CheckInput& input) {
  std::vector<CheckItem> out;
  out.push_back(services_up(input));
  out.push_back(gpu(input));
  out.push_back(disk(input));
  out.push_back(backup(input));
  out.push_back(healthy(input));
  out.push_back(memory(input));
  out.push_back(secrets(input));
  out.push_back(rotation(input));
  out.push_back(tried(input, "O39", "a login through the edge works", "datamancy check --login-url https://auth.DOMAIN --login-user NAME --login-password-file FILE", "R30", input.login));
  out.push_back(tried(input, "O40", "the probe orchestrator answers, and fails when it does not work", "curl -fsS http://127.0.0.1:8089/healthz", "R53", input.orchestrator));
  out.push_back(as_files_say(input));
  out.push_back(unobstructed(input));
  return out;
}

bool all_pass(const std::vector<CheckItem>& items) {
  return std::ranges::all_of(items, [](const auto& item) { return item.answer == Answer::pass || item.answer == Answer::not_applicable; });
}

std::string check_text(const std::vector<CheckItem>& items, const std::string& project) {
  std::string text;
  std::size_t count[4] = {0, 0, 0, 0};
  for (const auto& item : items) {
    ++count[static_cast<std::size_t>(item.answer)];
    text += fmt::format("{:14}  {:4}  {}: {}\n", to_string(item.answer), item.id, item.title, item.evidence);
    for (std::size_t i = 0; i < item.details.size() && item.answer == Answer::fail; ++i) {
      if (i == 8) {
        text += fmt::format("{:22}and {} more\n", "", item.details.size() - i);
        break;
      }
      text += fmt::format("{:22}{}\n", "", item.details[i]);
    }
    if ((item.answer == Answer::fail || item.answer == Answer::unknown) && !item.prove.empty()) text += fmt::format("{:22}prove: {}\n", "", item.prove);
  }
  text += fmt::format("{}: {} pass, {} fail, {} unknown, {} not applicable\n", project, count[0], count[1], count[2], count[3]);
  return text;
}

std::string check_json(const std::vector<CheckItem>& items, const std::string& project) {
  JsonWriter json;
  json.begin_object().key("version").value(std::int64_t{1}).key("project").value(project).key("pass").value(all_pass(items)).key("items").begin_array();
  for (const auto& item : items) {
    json.begin_object().key("id").value(item.id).key("title").value(item.title).key("answer").value(to_string(item.answer)).key("evidence").value(item.evidence);
    json.key("details").begin_array();
    for (const auto& detail : item.details) json.value(detail);
    json.end().key("prove").value(item.prove).end();
  }
  json.end().end();
  return json.take() + "\n";
}

state::Present present_of(std::string_view engine_id, const std::vector<Container>& containers) {
  state::Present out;
  std::string images, configs;
  for (const auto& container : containers) {  // ordered by service and number
    if (container.one_off) continue;
    images += fmt::format("{} {}\n", container.service, container.image_id);
    configs += fmt::format("{} {}\n", container.service, container.config_hash);
    out.services.emplace(container.service, state::Binding{.engine = std::string(engine_id), .image = container.image_id, .config = container.config_hash, .data = {}});
  }
  const auto digest = [](const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), bytes.data(), &size, EVP_sha256(), nullptr);
    std::string hex;
    for (unsigned i = 0; i < 16 && i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
    return hex;
  };
  out.whole = {.engine = std::string(engine_id), .image = digest(images), .config = digest(configs), .data = {}};
  return out;
}

}  // namespace dm::deploy
