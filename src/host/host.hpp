/// What this machine is and has. `root` is put before every path: "" is the real machine, else a recorded tree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace dm::host {

struct Memory {
  std::uint64_t total = 0, available = 0, swap_total = 0, swap_free = 0;  ///< bytes
};
/// All zero where /proc/meminfo cannot be read.
Memory memory(const std::string& root = "");
unsigned cpus(const std::string& root = "");
std::string kernel(const std::string& root = "");
/// 2 = unified, 1 = the old hierarchies (also where both are mounted), 0 = none.
unsigned cgroup_version(const std::string& root = "");
/// "vm.max_map_count"; nothing where the kernel has no such setting.
std::optional<std::string> sysctl(const std::string& name, const std::string& root = "");

struct Disk {
  std::string mount{};               ///< where the file system is mounted
  std::string type{};                ///< "ext4", "overlay", "nfs4"
  std::uint64_t total = 0, free = 0; ///< bytes; free = for ordinary users
  std::uint64_t inodes = 0, inodes_free = 0;  ///< 0 of 0 where the file system has no fixed number
  std::uint64_t device = 0;          ///< the same for paths on one file system
  bool read_only = false;
};
/// The file system that holds `path`, or its nearest parent that exists. Never a recorded tree: it asks the kernel.
Result<Disk> disk(const std::string& path);

struct Listener {
  std::string protocol{};            ///< "tcp", "udp"
  std::string address{};             ///< "0.0.0.0", "::", "127.0.0.1"
  std::uint16_t port = 0;
};
/// Sockets that listen (TCP) or are bound (UDP) on this machine, of our network namespace.
std::vector<Listener> listeners(const std::string& root = "");

/// "nvidia0 (NVIDIA GeForce RTX 4090)", "renderD128": devices that containers can be given.
std::vector<std::string> gpus(const std::string& root = "");
/// Users named in a line of /etc/group.
std::vector<std::string> group_members(const std::string& group, const std::string& root = "");

struct File {
  std::uint32_t mode = 0;
  std::string owner{}, group{};      ///< names, or numbers where nobody has it
  bool folder = false, socket = false;
  std::int64_t modified = 0;         ///< Unix seconds
};
std::optional<File> file(const std::string& path);
/// Paths that the rules in /etc/audit/audit.rules and rules.d watch; nothing where there are none or we may not read them.
std::optional<std::vector<std::string>> audit_watched(const std::string& root = "");

}  // namespace dm::host
