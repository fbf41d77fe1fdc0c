#include "host/cgroup.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace dm::host {
namespace {

std::optional<std::string> word_of(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  return word;
}

std::optional<std::uint64_t> number(const std::optional<std::string>& word) {
  if (!word || word->empty() || word->find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::strtoull(word->c_str(), nullptr, 10);
}
std::optional<std::uint64_t> number_of(const std::string& path) { return number(word_of(path)); }

/// A limit: "max" and v1's near 2^63 are none.
std::optional<std::uint64_t> limit_of(const std::string& path) {
  const auto word = word_of(path);
  if (!word) return std::nullopt;
  if (*word == "max" || *word == "-1") return 0;
  auto value = number(word);
  if (value && *value >= (1ULL << 62U)) value = 0;
  return value;
}

/// "key value" lines.
std::optional<std::uint64_t> keyed(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  std::string value;
  while (file >> name >> value)
    if (name == key) return number(value);
  return std::nullopt;
}

std::optional<std::uint64_t> minus(std::optional<std::uint64_t> whole, std::optional<std::uint64_t> part) {
  if (!whole || !part) return whole;
  return *part < *whole ? *whole - *part : 0;
}
std::optional<std::uint64_t> times(std::optional<std::uint64_t> value, std::uint64_t factor) {
  if (value) *value *= factor;
  return value;
}

Cgroup read_unified(const std::string& folder) {
  Cgroup out;
  out.memory_use = number_of(folder + "/memory.current");
  out.memory_peak = number_of(folder + "/memory.peak");
  out.memory_limit = limit_of(folder + "/memory.max");
  out.working_set = minus(out.memory_use, keyed(folder + "/memory.stat", "inactive_file"));
  out.oom_kills = keyed(folder + "/memory.events", "oom_kill");
  out.cpu_total = times(keyed(folder + "/cpu.stat", "usage_usec"), 1000);
  out.throttled_time = times(keyed(folder + "/cpu.stat", "throttled_usec"), 1000);
  out.periods = keyed(folder + "/cpu.stat", "nr_periods");
  out.throttled_periods = keyed(folder + "/cpu.stat", "nr_throttled");
  std::ifstream cpu(folder + "/cpu.max");
  std::string quota;
  std::uint64_t period = 0;
  if (cpu >> quota >> period) out.cpu_limit = quota == "max" || period == 0 ? 0 : number(quota).value_or(0) * 1'000'000'000 / period;
  out.pids = number_of(folder + "/pids.current");
  out.pids_limit = limit_of(folder + "/pids.max");
  return out;
}

}  // namespace

Result<CgroupFolders> cgroup_folders(std::int64_t pid, const std::string& root) {
  std::ifstream file(fmt::format("{}/proc/{}/cgroup", root, pid));
  if (!file) return fail(Errc::not_found, fmt::format("no process {} that we see", pid));
  const auto base = root + "/sys/fs/cgroup";
  CgroupFolders out;
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    auto path = line.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers.empty()) {
      if (std::filesystem::exists(base + "/cgroup.controllers")) out.unified = base + path;
      continue;
    }
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      const auto folder = base + "/" + name + path;
      if (name == "memory") out.memory = folder;
      if (name == "cpu") out.cpu = folder;
      if (name == "cpuacct") out.cpuacct = folder;
      if (name == "pids") out.pids = folder;
    }
  }
  if (out.unified.empty() && out.memory.empty()) return fail(Errc::not_found, fmt::format("process {} is in no control group that we see", pid));
  return out;
}

std::vector<Process> processes(const CgroupFolders& folders, const std::string& root) {
  std::ifstream group((folders.unified.empty() ? folders.memory : folders.unified) + "/cgroup.procs");
  std::vector<Process> out;
  for (std::int64_t pid = 0; group >> pid;) {
    std::ifstream status(fmt::format("{}/proc/{}/status", root, pid));
    Process one;
    bool whole = false;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:\t")) one.program = line.substr(6);
      if (!line.starts_with("Uid:\t")) continue;
      std::istringstream ids(line.substr(5));  // real, effective, saved, of the file system
      std::int64_t real = 0;
      whole = static_cast<bool>(ids >> real >> one.user);
    }
    if (whole) out.push_back(std::move(one));
  }
  return out;
}

Cgroup read_cgroup(const CgroupFolders& folders) {
  if (!folders.unified.empty()) return read_unified(folders.unified);
  Cgroup out;
  out.memory_use = number_of(folders.memory + "/memory.usage_in_bytes");
  out.memory_peak = number_of(folders.memory + "/memory.max_usage_in_bytes");
  out.memory_limit = limit_of(folders.memory + "/memory.limit_in_bytes");
  out.working_set = minus(out.memory_use, keyed(folders.memory + "/memory.stat", "total_inactive_file"));
  out.oom_kills = keyed(folders.memory + "/memory.oom_control", "oom_kill");
  out.cpu_total = number_of(folders.cpuacct + "/cpuacct.usage");
  out.periods = keyed(folders.cpu + "/cpu.stat", "nr_periods");
  out.throttled_periods = keyed(folders.cpu + "/cpu.stat", "nr_throttled");
  out.throttled_time = keyed(folders.cpu + "/cpu.stat", "throttled_time");
  const auto quota = word_of(folders.cpu + "/cpu.cfs_quota_us");
  const auto period = number_of(folders.cpu + "/cpu.cfs_period_us");
  if (quota && period && *period > 0) out.cpu_limit = *quota == "-1" ? 0 : number(quota).value_or(0) * 1'000'000'000 / *period;
  out.pids = number_of(folders.pids + "/pids.current");
  out.pids_limit = limit_of(folders.pids + "/pids.max");
  return out;
}

}  // namespace dm::host
