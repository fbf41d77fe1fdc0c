#include "host/host.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/io.hpp"

namespace dm::host {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator(); entry.increment(error)) out.push_back(entry->path().filename().string());
  std::ranges::sort(out);
  return out;
}

/// "0100007F" or 32 digits, each group of four bytes in the machine's order.
std::string address_of(const std::string& hex) {
  std::array<unsigned char, 16> bytes{};
  const auto size = hex.size() / 2;
  if (size != 4 && size != 16) return {};
  for (std::size_t word = 0; word < size / 4; ++word) {
    const auto value = static_cast<std::uint32_t>(std::strtoul(hex.substr(word * 8, 8).c_str(), nullptr, 16));
    std::memcpy(bytes.data() + word * 4, &value, 4);
  }
  std::array<char, INET6_ADDRSTRLEN> out{};
  return ::inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes.data(), out.data(), out.size()) == nullptr ? std::string() : out.data();
}

void read_sockets(const std::string& path, const std::string& protocol, std::string_view state, std::vector<Listener>& out) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string number, local, remote, is;
    if (!(words >> number >> local >> remote >> is) || is != state) continue;
    const auto colon = local.find(':');
    if (colon == std::string::npos) continue;
    out.push_back({protocol, address_of(local.substr(0, colon)), static_cast<std::uint16_t>(std::strtoul(local.substr(colon + 1).c_str(), nullptr, 16))});
  }
}

}  // namespace

Memory memory(const std::string& root) {
  Memory out;
  std::ifstream file(root + "/proc/meminfo");
  std::string name;
  std::uint64_t kilobytes = 0;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    if (!(words >> name >> kilobytes)) continue;
    if (name == "MemTotal:") out.total = kilobytes * 1024;
    if (name == "MemAvailable:") out.available = kilobytes * 1024;
    if (name == "SwapTotal:") out.swap_total = kilobytes * 1024;
    if (name == "SwapFree:") out.swap_free = kilobytes * 1024;
  }
  return out;
}

unsigned cpus(const std::string& root) {
  if (root.empty()) return static_cast<unsigned>(std::max(0L, ::sysconf(_SC_NPROCESSORS_ONLN)));  // NOLINT: sysconf's type
  unsigned count = 0;
  std::istringstream text(text_of(root + "/proc/cpuinfo"));
  for (std::string line; std::getline(text, line);) count += line.starts_with("processor") ? 1 : 0;
  return count;
}

std::string kernel(const std::string& root) { return first_line(root + "/proc/sys/kernel/osrelease"); }

unsigned cgroup_version(const std::string& root) {
  if (fs::exists(root + "/sys/fs/cgroup/cgroup.controllers")) return 2;
  return fs::exists(root + "/sys/fs/cgroup/memory") ? 1 : 0;
}

std::optional<std::string> sysctl(const std::string& name, const std::string& root) {
  auto path = name;
  std::ranges::replace(path, '.', '/');
  std::ifstream file(root + "/proc/sys/" + path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  std::ranges::replace(line, '\t', ' ');
  return line;
}

Result<Disk> disk(const std::string& path) {
  std::string at = path.empty() ? "/" : path;
  struct stat what {};
  while (::stat(at.c_str(), &what) != 0) {
    if (errno == EACCES) return fail(errno_error("looking at " + at, errno));
    const auto cut = at.rfind('/');
    if (at == "/" || cut == std::string::npos) return fail(errno_error("looking at " + path, errno));
    at = cut == 0 ? "/" : at.substr(0, cut);
  }
  struct statvfs space {};
  if (::statvfs(at.c_str(), &space) != 0) return fail(errno_error("looking at the disk of " + at, errno));
  Disk out;
  out.total = std::uint64_t{space.f_blocks} * space.f_frsize;
  out.free = std::uint64_t{space.f_bavail} * space.f_frsize;
  out.inodes = space.f_files;
  out.inodes_free = space.f_favail;
  out.device = what.st_dev;
  out.read_only = (space.f_flag & ST_RDONLY) != 0;
  const auto device = fmt::format("{}:{}", major(what.st_dev), minor(what.st_dev));
  std::error_code ignored;
  const auto real = fs::canonical(at, ignored).string();
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, number, inner, where, word;
    if (!(words >> id >> parent >> number >> inner >> where) || number != device) continue;
    const bool holds = real == where || where == "/" || real.starts_with(where + "/");
    if (!holds || where.size() < out.mount.size()) continue;
    while (words >> word && word != "-") {
    }
    words >> out.type;
    out.mount = where;
  }
  return out;
}

std::vector<Listener> listeners(const std::string& root) {
  std::vector<Listener> out;
  for (const char* six : {"", "6"}) {
    read_sockets(fmt::format("{}/proc/net/tcp{}", root, six), "tcp", "0A", out);
    read_sockets(fmt::format("{}/proc/net/udp{}", root, six), "udp", "07", out);
  }
  return out;
}

std::vector<std::string> gpus(const std::string& root) {
  std::vector<std::string> out;
  for (const auto& name : names_in(root + "/proc/driver/nvidia/gpus")) {
    std::istringstream text(text_of(root + "/proc/driver/nvidia/gpus/" + name + "/information"));
    std::string model = "NVIDIA";
    for (std::string line; std::getline(text, line);)
      if (line.starts_with("Model:")) model = line.substr(line.find_first_not_of(" \t", 6));
    out.push_back(fmt::format("{} ({})", name, model));
  }
  for (const auto& name : names_in(root + "/dev/dri"))
    if (name.starts_with("renderD")) out.push_back(name);
  if (fs::exists(root + "/dev/kfd")) out.emplace_back("kfd (AMD)");
  if (fs::exists(root + "/dev/dxg")) out.emplace_back("dxg (Windows' GPU in WSL)");
  return out;
}

std::vector<std::string> group_members(const std::string& group, const std::string& root) {
  std::istringstream text(text_of(root + "/etc/group"));
  std::vector<std::string> out;
  for (std::string line; std::getline(text, line);) {
    if (!line.starts_with(group + ":")) continue;
    std::istringstream names(line.substr(line.rfind(':') + 1));
    for (std::string name; std::getline(names, name, ',');)
      if (!name.empty()) out.push_back(name);
  }
  return out;
}

std::optional<File> file(const std::string& path) {
  struct stat what {};
  if (::stat(path.c_str(), &what) != 0) return std::nullopt;
  File out;
  out.mode = what.st_mode & 07777U;
  out.folder = S_ISDIR(what.st_mode);
  out.socket = S_ISSOCK(what.st_mode);
  out.modified = what.st_mtime;
  std::array<char, 4096> space;  // NOLINT: filled by the calls
  passwd user{};
  passwd* found = nullptr;
  out.owner = ::getpwuid_r(what.st_uid, &user, space.data(), space.size(), &found) == 0 && found != nullptr ? found->pw_name : std::to_string(what.st_uid);
  group entry{};
  group* known = nullptr;
  out.group = ::getgrgid_r(what.st_gid, &entry, space.data(), space.size(), &known) == 0 && known != nullptr ? known->gr_name : std::to_string(what.st_gid);
  return out;
}

std::optional<std::vector<std::string>> audit_watched(const std::string& root) {
  std::vector<std::string> files{root + "/etc/audit/audit.rules"};
  for (const auto& name : names_in(root + "/etc/audit/rules.d"))
    if (name.ends_with(".rules")) files.push_back(root + "/etc/audit/rules.d/" + name);
  bool any = false;
  std::vector<std::string> out;
  for (const auto& path : files) {
    std::ifstream text(path);
    any = any || text.is_open();
    for (std::string line; std::getline(text, line);) {
      std::istringstream words(line);
      std::string previous;
      for (std::string word; words >> word; previous = word) {
        if (previous == "-w") out.push_back(word);
        if (word.starts_with("path=") || word.starts_with("dir=")) out.push_back(word.substr(word.find('=') + 1));
      }
    }
  }
  if (!any) return std::nullopt;
  return out;
}

}  // namespace dm::host
