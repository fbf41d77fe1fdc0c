/// The control group of a process, v1 or v2: what the kernel enforces and counts, whatever the engine believes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace dm::host {

/// Bytes, nanoseconds and counts; nullopt = this kernel does not say.
struct Cgroup {
  std::optional<std::uint64_t> memory_use{}, memory_peak{};
  std::optional<std::uint64_t> memory_limit{};      ///< 0 = no limit
  std::optional<std::uint64_t> working_set{};       ///< use without inactive page cache
  std::optional<std::uint64_t> oom_kills{};         ///< processes killed since the group was made
  std::optional<std::uint64_t> cpu_total{}, throttled_time{}, periods{}, throttled_periods{};
  std::optional<std::uint64_t> cpu_limit{};         ///< nanoseconds of CPU a second; 0 = no limit
  std::optional<std::uint64_t> pids{}, pids_limit{};  ///< limit 0 = none
};

/// Folders of a process's group. v2: `unified`; v1: one each.
struct CgroupFolders {
  std::string unified{};
  std::string memory{}, cpu{}, cpuacct{}, pids{};
};

/// Reads /proc/PID/cgroup. Errors: `not_found` (no such process, or no group that we see).
Result<CgroupFolders> cgroup_folders(std::int64_t pid, const std::string& root = "");
/// A process of a group.
struct Process {
  std::string program{};                            ///< its name as the kernel has it, at most 15 bytes
  std::int64_t user = 0;                            ///< effective user id, as this machine counts
};
/// Those of the group itself, not of groups below it. Empty where it cannot be read.
std::vector<Process> processes(const CgroupFolders& folders, const std::string& root = "");
/// Never fails: what cannot be read is nullopt.
Cgroup read_cgroup(const CgroupFolders& folders);

}  // namespace dm::host
