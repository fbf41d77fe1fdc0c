#include "deploy/preflight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/json.hpp"

namespace dm::deploy {
namespace {

using compose::Service;

std::vector<const Service*> chosen(const PreflightInput& input) {
  std::vector<const Service*> out;
  for (const auto& service : input.wiring.project->services)
    if (input.services.contains(service.name)) out.push_back(&service);
  return out;
}

/// 20.10.24 -> {20, 10}
std::pair<int, int> version_of(std::string_view text) {
  std::pair<int, int> out{0, 0};
  const auto* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, out.first);
  if (first.ptr != end && *first.ptr == '.') std::from_chars(first.ptr + 1, end, out.second);
  return out;
}

void check_engine(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& engine = input.around.engine;
  if (version_of(engine.server_version) < std::pair{20, 10} && engine.product == "Docker")
    out.push_back({"engine", true, fmt::format("engine {} is too old", engine.server_version), "install Docker Engine 20.10 or newer"});
  if (engine.swarm) out.push_back({"engine", false, "the engine is part of a swarm; its services are not looked at", ""});
}

void check_compose(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& around = input.around;
  if (around.compose_version.empty()) {
    out.push_back({"compose", true, around.compose_trouble.empty() ? "docker compose is missing" : around.compose_trouble, "install the plugin docker-compose 2.20 or newer"});
    return;
  }
  if (version_of(around.compose_version) < std::pair{2, 20})
    out.push_back({"compose", true, fmt::format("docker compose {} is too old", around.compose_version), "install 2.20 or newer"});
}

void check_profiles(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& project = *input.wiring.project;
  for (const auto* service : chosen(input))
    for (const auto& dependency : service->depends_on) {
      const auto* other = project.service(dependency.service);
      if (!dependency.required || (other != nullptr && other->enabled && input.services.contains(dependency.service))) continue;
      std::string profiles;
      if (other != nullptr)
        for (const auto& profile : other->profiles) profiles += fmt::format(" --profile {}", profile.value);
      out.push_back({"profiles", other == nullptr, fmt::format("{} depends on {}, which is not part of this start", service->name, dependency.service),
                     profiles.empty() ? "name it too, or leave out --no-deps" : "add" + profiles});
    }
}

void check_variables(const PreflightInput& input, std::vector<Problem>& out) {
  std::set<std::string_view> seen;
  for (const auto& use : input.wiring.project->variables) {
    const bool here = use.service.empty() || input.services.contains(use.service);
    if (use.defined || !here || use.form != compose::VariableUse::Form::plain || !seen.insert(use.name).second) continue;
    out.push_back({"variables", false, fmt::format("variable {} has no value, {} becomes empty", use.name, use.path),
                   fmt::format("set {} in .env, or write ${{{}:?}} so that a start without it stops", use.name, use.name)});
  }
}

/// What containers ask for may be missing on a sound machine: many have no /etc/timezone.
bool of_the_clock(std::string_view path) { return path == "/etc/localtime" || path == "/etc/timezone"; }

void check_binds(const PreflightInput& input, std::vector<Problem>& out) {
  if (!input.around.local) return;
  for (const auto& use : input.wiring.mounts) {
    const auto& service = input.wiring.service(use.service);
    if (!input.services.contains(service.name) || use.mount->type != compose::Mount::Type::bind) continue;
    const auto outside = input.around.outside.find(use.host_path);
    const auto kind = outside == input.around.outside.end() ? use.source.kind : outside->second;
    const bool socket = use.mount->target.ends_with(".sock") || use.mount->source.ends_with(".sock");
    const auto mounts = fmt::format("{} mounts {}", service.name, use.mount->source);
    if (kind == sources::Kind::missing) {
      if (!use.mount->create_host_path)
        out.push_back({"mounts", true, mounts + ", which does not exist", "create it"});
      else if (socket)
        out.push_back({"mounts", true, mounts + ", and there is no such socket: the engine would make a folder of that name", "start the program that listens there, or name the socket that is there"});
      else if (use.looks_like_file)
        out.push_back({"mounts", !of_the_clock(use.mount->source), fmt::format("{} as {}, which does not exist: the engine would make a folder of that name", mounts, use.mount->target), "create the file"});
    } else if (kind == sources::Kind::directory && socket) {
      out.push_back({"mounts", true, fmt::format("{} mounts the folder {} where a socket belongs", service.name, use.mount->source),
                     "a start without the socket has made it: remove the folder, and start the program that listens there, or name the socket that is there"});
    } else if (kind == sources::Kind::directory && use.looks_like_file) {
      out.push_back({"mounts", false, fmt::format("{} mounts the folder {} where a file belongs ({})", service.name, use.mount->source, use.mount->target),
                     "a start without the file has probably made it: remove the folder and put the file there"});
    }
  }
  // A project that is rendered has all of these in one folder, which is empty after a boot: one mend for all.
  const auto& environment = input.wiring.project->environment;
  const auto run = environment.find("DATAMANCY_RUN");
  std::vector<std::string_view> unrendered;
  for (const auto& path : input.around.missing_paths) {
    if (run != environment.end() && !run->second.value.empty() && path.starts_with(run->second.value + "/")) unrendered.push_back(path);
    else out.push_back({"mounts", true, fmt::format("{} does not exist", path), "create it, or mend the path"});
  }
  if (!unrendered.empty())
    out.push_back({"mounts", true, fmt::format("secrets and configuration are not rendered: {} {} below {} {} missing", unrendered.size(), unrendered.size() == 1 ? "file" : "files", run->second.value, unrendered.size() == 1 ? "is" : "are"),
                   "datamancy render (as root, with the key's HOME: sudo --preserve-env=HOME datamancy render)"});
}

void check_externals(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& project = *input.wiring.project;
  for (const auto& network : project.networks)
    if (network.external && std::ranges::find(input.around.networks, network.name, &engine::Network::name) == input.around.networks.end())
      out.push_back({"networks", true, fmt::format("external network {} does not exist", network.name), fmt::format("docker network create {}", network.name)});
  for (const auto& volume : project.volumes)
    if (volume.external && !input.around.volumes.contains(std::string(volume.name)))
      out.push_back({"volumes", true, fmt::format("external volume {} does not exist", volume.name), fmt::format("docker volume create {}", volume.name)});
  // Compose makes nothing anew that may hold data: what the files say of a volume that is there has no effect.
  for (const auto& volume : project.volumes) {
    const auto there = input.around.volumes.find(std::string(volume.name));
    if (volume.external || volume.node == nullptr || there == input.around.volumes.end()) continue;
    std::string differs;
    if (!volume.driver.empty() && volume.driver != there->second.driver) differs = fmt::format("driver {} (it has {})", volume.driver, there->second.driver);
    if (const auto* options = volume.node->find("driver_opts"); options != nullptr && options->is_mapping())
      for (const auto& option : *options->entries)
        if (const auto has = there->second.options.find(std::string(option.key));
            has == there->second.options.end() || has->second != (option.key == "device" && !volume.device.empty() ? volume.device : option.value->text))
          differs += fmt::format("{}driver_opts.{}", differs.empty() ? "" : ", ", option.key);
    if (!differs.empty())
      out.push_back({"volumes", false, fmt::format("volume {} is there, and is not what the files say: {}; it is used as it is", volume.name, differs),
                     fmt::format("save its data, `docker volume rm {}`, and up again; or write what it has", volume.name)});
  }
}

void check_disk(const PreflightInput& input, std::vector<Problem>& out) {
  for (const auto& room : input.around.rooms) {
    std::string of;
    for (std::size_t i = 0; i < room.of.size() && i < 4; ++i) of += (i == 0 ? "" : ", ") + room.of[i];
    if (room.of.size() > 4) of += fmt::format(" and {} more", room.of.size() - 4);
    const auto& disk = room.disk;
    if (disk.free < input.want_free)
      out.push_back({"disk", disk.free < (1ULL << 30U), fmt::format("{} free at {} ({}); {} are wanted", size_text(disk.free), disk.mount, of, size_text(input.want_free)),
                     "free space: docker system df shows what the engine holds; --min-free sets another threshold"});
    if (disk.inodes > 0 && disk.inodes_free * 20 < disk.inodes)
      out.push_back({"inodes", disk.inodes_free < 1000, fmt::format("{} of {} inodes free at {} ({})", disk.inodes_free, disk.inodes, disk.mount, of), "remove many small files"});
  }
}

void check_memory(const PreflightInput& input, std::vector<Problem>& out) {
  std::uint64_t limits = 0, reserved = 0;
  std::size_t unlimited = 0;
  for (const auto* service : chosen(input)) {
    const auto count = replicas_of(*service);
    const auto id = input.wiring.id_of(service->name);
    if (id != wiring::kNone && input.wiring.one_shot[id]) continue;
    if (service->limits.memory && *service->limits.memory > 0) limits += *service->limits.memory * count;
    else unlimited += count;
    if (service->reservations.memory) reserved += *service->reservations.memory * count;
  }
  const auto memory = input.around.engine.memory;
  if (memory == 0) return;
  if (reserved > memory)
    out.push_back({"memory", false, fmt::format("reservations add up to {}, the machine has {}", size_text(reserved), size_text(memory)), "lower them, or start fewer services"});
  if (limits > memory)
    out.push_back({"memory", false, fmt::format("memory limits add up to {}, the machine has {}{}", size_text(limits), size_text(memory),
                                                unlimited > 0 ? fmt::format(", and {} services have none", unlimited) : ""),
                   "lower the limits of what uses little (datamancy report names candidates)"});
}

bool wants_gpu(const Service& service) {
  if (service.node == nullptr) return false;
  const auto* devices = service.node->at({"deploy", "resources", "reservations", "devices"});
  return (devices != nullptr && devices->is_sequence() && !devices->items->empty()) || service.node->find("gpus") != nullptr || service.node->find("runtime") != nullptr;
}

void check_gpu(const PreflightInput& input, std::vector<Problem>& out) {
  for (const auto* service : chosen(input)) {
    if (!wants_gpu(*service)) continue;
    const auto& runtimes = input.around.engine.runtimes;
    if (std::ranges::none_of(runtimes, [](const auto& name) { return name.find("nvidia") != std::string::npos || name.find("rocm") != std::string::npos || name.find("amd") != std::string::npos; }))
      out.push_back({"gpu", true, fmt::format("{} asks for a GPU, but the engine knows no runtime for one", service->name), "install nvidia-container-toolkit, run nvidia-ctk runtime configure, restart the engine"});
    else if (input.around.local && input.around.gpus.empty())
      out.push_back({"gpu", false, fmt::format("{} asks for a GPU, and this machine shows none", service->name), "load its driver (nvidia-smi must answer here first)"});
  }
}

bool same_address(std::string_view a, std::string_view b) {
  const auto any = [](std::string_view text) { return text.empty() || text == "0.0.0.0" || text == "::"; };
  return any(a) || any(b) || a == b;
}

void check_ports(const PreflightInput& input, std::vector<Problem>& out) {
  for (const auto* service : chosen(input))
    for (const auto& port : service->ports) {
      std::uint32_t number = 0;
      const auto text = port.published;
      if (text.empty() || std::from_chars(text.data(), text.data() + text.size(), number).ptr != text.data() + text.size()) continue;
      bool ours = false;
      std::string holder;
      for (const auto& other : input.around.published) {
        if (other.port.outside != number || other.port.protocol != port.protocol || !same_address(other.port.address, port.host_ip)) continue;
        if (other.ours) ours = true;
        else holder = "container " + other.container;
      }
      if (holder.empty() && !ours && input.around.local)
        for (const auto& socket : input.around.listening)
          if (socket.port == number && socket.protocol == port.protocol && same_address(socket.address, port.host_ip)) holder = "a program of this machine";
      if (!holder.empty())
        out.push_back({"ports", true, fmt::format("{} publishes {}/{}, which is taken by {}", service->name, number, port.protocol, holder),
                       fmt::format("stop it (ss -lntup 'sport = {}' names it), or publish another port", number)});
    }
}

/// A name is one container's on the whole engine.
void check_names(const PreflightInput& input, std::vector<Problem>& out) {
  for (const auto* service : chosen(input)) {
    const std::string own(service->container_name.value);
    for (std::size_t i = 1; i <= replicas_of(*service); ++i) {
      const auto name = !own.empty() ? own : fmt::format("{}-{}-{}", input.wiring.project->name, service->name, i);
      const auto taken = input.around.foreign.find(name);
      if (taken == input.around.foreign.end()) continue;
      out.push_back({"names", true, fmt::format("{} needs the container name {}, which a container {} has", service->name, name, taken->second),
                     own.empty() ? fmt::format("docker rename {}, or remove it", name) : "leave out container_name, or give another"});
      if (!own.empty()) break;
    }
  }
}

void check_pools(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& project = *input.wiring.project;
  std::size_t wanted = 0;
  std::set<std::string_view> used;
  for (const auto* service : chosen(input))
    for (const auto& use : service->networks) used.insert(use.network);
  for (const auto& network : project.networks) {
    if (network.external || !used.contains(network.key) || (network.node != nullptr && network.node->at({"ipam", "config"}) != nullptr)) continue;
    if (std::ranges::find(input.around.networks, network.name, &engine::Network::name) == input.around.networks.end()) ++wanted;
  }
  // The built-in pools: 172.17.0.0/16 to 172.31.0.0/16, and 192.168.0.0/16 in pieces of /20.
  std::size_t pools = 31;
  if (!input.around.engine.address_pools.empty()) {
    pools = 0;
    for (const auto& [base, size] : input.around.engine.address_pools) {
      const auto slash = base.find('/');
      const auto have = slash == std::string::npos ? 0 : std::atoi(base.c_str() + slash + 1);
      if (have > 0 && size >= have && size - have < 20) pools += std::size_t{1} << static_cast<unsigned>(size - have);
    }
  }
  const auto taken = static_cast<std::size_t>(std::ranges::count(input.around.networks, "bridge", &engine::Network::driver));
  if (taken + wanted > pools)
    out.push_back({"address pools", true, fmt::format("{} networks are to be made, but only {} of {} address pools are free", wanted, pools > taken ? pools - taken : 0, pools),
                   "docker network prune, or set default-address-pools in daemon.json to smaller ones"});
}

/// One problem for each setting, however many services need it.
void check_kernel(const PreflightInput& input, std::vector<Problem>& out) {
  if (!input.around.local) return;
  struct Wanted {
    std::uint64_t at_least = 0, is = 0;
    std::vector<std::pair<const product::Product*, std::string>> services{};  // by product, in the order of the files
    std::string why{};
  };
  std::map<std::string_view, Wanted> wanted;
  for (const auto* service : chosen(input)) {
    const auto id = input.wiring.id_of(service->name);
    const auto* product = id == wiring::kNone ? nullptr : input.wiring.product_of[id];
    if (product == nullptr) continue;
    for (const auto& fact : product->kernel) {
      const auto found = input.around.kernel.find(fact.setting);
      if (found == input.around.kernel.end() || !found->second || *found->second >= fact.at_least) continue;
      auto& one = wanted[fact.setting];
      one.is = *found->second;
      one.at_least = std::max<std::uint64_t>(one.at_least, fact.at_least);
      if (auto group = std::ranges::find(one.services, product, [](const auto& pair) { return pair.first; }); group != one.services.end()) {
        group->second += fmt::format(", {}", service->name);
        continue;
      }
      one.services.emplace_back(product, service->name);
      one.why += fmt::format("{}{}", one.why.empty() ? "" : "; ", fact.why);
    }
  }
  for (const auto& [setting, one] : wanted) {
    std::string who;
    for (const auto& [product, services] : one.services) who += fmt::format("{}{} ({})", who.empty() ? "" : ", ", services, product->name);
    const bool many = one.services.size() > 1 || one.services.front().second.find(',') != std::string::npos;
    out.push_back({"kernel", false, fmt::format("{} need{} {} >= {}, it is {}: {}", who, many ? "" : "s", setting, one.at_least, one.is, one.why),
                   fmt::format("sysctl -w {}={} and the same in /etc/sysctl.d/", setting, one.at_least)});
  }
}

void check_clock(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& around = input.around;
  const auto skew = (around.engine.system_time - around.now) / 1000000000;
  if (around.engine.system_time != 0 && around.now != 0 && (skew > 5 || skew < -5))
    out.push_back({"clock", false, fmt::format("the engine's clock is {} s {} ours", skew < 0 ? -skew : skew, skew < 0 ? "behind" : "ahead of"), "synchronise both (chrony, systemd-timesyncd)"});
  if (around.local && around.clock_synchronised == false)
    out.push_back({"clock", false, "the kernel does not believe its clock to be synchronised", "start chrony or systemd-timesyncd; certificates, one-time codes and backups need the right time"});
}

void check_images(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& project = *input.wiring.project;
  const auto arch = input.around.engine.arch == "x86_64" ? "amd64" : input.around.engine.arch == "aarch64" ? "arm64" : input.around.engine.arch;
  for (const auto* service : chosen(input)) {
    const auto name = image_of(project, *service);
    const auto found = input.around.images.find(name);
    if (found != input.around.images.end()) {
      if (!found->second.arch.empty() && found->second.arch != arch)
        out.push_back({"images", false, fmt::format("{} ({}) is for {}, the engine is {}", name, service->name, found->second.arch, arch), "take the image of this platform; emulation is slow where it works at all"});
      continue;
    }
    const auto* policy = service->node != nullptr ? service->node->find("pull_policy") : nullptr;
    const bool never = !input.may_pull || (policy != nullptr && policy->string() == "never");
    if (service->build != nullptr) continue;
    if (never) out.push_back({"images", true, fmt::format("image {} of {} is not here and must not be pulled", name, service->name), fmt::format("docker pull {}, or load it", name)});
  }
}

/// Podman itself never asks a healthcheck: it makes a timer of systemd for each. What is gated by one would wait in vain.
void check_healthchecks(const PreflightInput& input, std::vector<Problem>& out) {
  const auto& around = input.around;
  if (!around.local || around.systemd || around.engine.product != "Podman") return;
  std::string who;
  for (const auto* service : chosen(input))
    if (service->healthcheck && !service->healthcheck->disabled) who += fmt::format("{}{}", who.empty() ? "" : ", ", service->name);
  if (!who.empty())
    out.push_back({"healthchecks", false, fmt::format("Podman leaves healthchecks to systemd, which does not run here: nobody asks {}", who),
                   "run Podman where systemd runs, let a timer run `podman healthcheck run NAME`, or use Docker"});
}

constexpr PreflightCheck kChecks[] = {
    {"engine", "version of the engine", check_engine},
    {"compose", "version of docker compose", check_compose},
    {"profiles", "everything that is needed is part of the start", check_profiles},
    {"variables", "every variable has a value", check_variables},
    {"mounts", "sources of mounts exist and are of the right kind", check_binds},
    {"externals", "external networks and volumes exist", check_externals},
    {"disk", "space and inodes where engine and volumes lie", check_disk},
    {"memory", "limits and reservations against the machine", check_memory},
    {"gpu", "the engine can hand out a GPU where one is asked for", check_gpu},
    {"ports", "published ports are free", check_ports},
    {"names", "names of containers are free", check_names},
    {"address pools", "there are addresses for the networks", check_pools},
    {"kernel", "settings that the products need", check_kernel},
    {"healthchecks", "somebody asks them", check_healthchecks},
    {"clock", "the engine's clock and ours agree", check_clock},
    {"images", "images are here, or can be had, for this platform", check_images},
};

}  // namespace

std::vector<PreflightCheck> preflight_checks() { return {std::begin(kChecks), std::end(kChecks)}; }

std::vector<Problem> preflight(const PreflightInput& input) {
  std::vector<Problem> out;
  for (const auto& check : kChecks) check.check(input, out);
  std::ranges::stable_sort(out, std::greater<>(), &Problem::blocks);
  return out;
}

bool blocked(const std::vector<Problem>& problems) { return std::ranges::any_of(problems, &Problem::blocks); }

std::string size_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= 1ULL << 30U) return fmt::format("{:.1f} GB", value / (1ULL << 30U));
  if (bytes >= 1ULL << 20U) return fmt::format("{:.0f} MB", value / (1ULL << 20U));
  return fmt::format("{} bytes", bytes);
}

std::string preflight_text(const std::vector<Problem>& problems) {
  std::string text;
  for (const auto& problem : problems) {
    text += fmt::format("{}: {}: {}\n", problem.blocks ? "stops" : "hurts", problem.check, problem.what);
    if (!problem.mend.empty()) text += fmt::format("  mend: {}\n", problem.mend);
  }
  return text;
}

std::string preflight_json(const std::vector<Problem>& problems) {
  JsonWriter json;
  json.begin_object().key("version").value(std::int64_t{1}).key("checks").begin_array();
  for (const auto& check : kChecks) json.begin_object().key("name").value(check.name).key("looks_at").value(check.looks_at).end();
  json.end().key("problems").begin_array();
  for (const auto& problem : problems)
    json.begin_object().key("check").value(problem.check).key("blocks").value(problem.blocks).key("what").value(problem.what).key("mend").value(problem.mend).end();
  json.end().end();
  return json.take() + "\n";
}

}  // namespace dm::deploy
