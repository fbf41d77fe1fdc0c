#include "sources/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace dm::sources {
namespace {

Error from_errno(int error, const std::string& path) {
  const auto message = fmt::format("cannot open '{}': {}", path, std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP: return {Errc::not_found, message, {}};
    case EACCES:
    case EPERM: return {Errc::denied, message, {}};
    default: return {Errc::failed, message, {}};
  }
}

class Disk final : public Files {
 public:
  Stat stat(const std::string& path) const override {
    struct ::stat info {};
    Stat out;
    if (::lstat(path.c_str(), &info) != 0) return out;
    out.symlink = S_ISLNK(info.st_mode);
    if (out.symlink && ::stat(path.c_str(), &info) != 0) return out;
    out.mode = info.st_mode & 07777U;
    out.kind = S_ISREG(info.st_mode) ? Kind::regular : S_ISDIR(info.st_mode) ? Kind::directory : Kind::other;
    if (out.kind == Kind::regular) {
      out.size = static_cast<std::uint64_t>(info.st_size);
      if (::access(path.c_str(), R_OK) != 0) out.kind = Kind::unreadable;
    }
    return out;
  }

  Result<std::string> read(const std::string& path, std::uint64_t limit) const override {
    // O_NONBLOCK: opening a FIFO without a writer would wait for ever.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return fail(from_errno(errno, path));
    struct Closer {
      int fd;
      ~Closer() { ::close(fd); }
    } const closer{fd};
    struct ::stat info {};
    if (::fstat(fd, &info) != 0) return fail(from_errno(errno, path));
    if (S_ISDIR(info.st_mode)) return fail(Errc::unsupported, fmt::format("'{}' is a folder, not a file", path));
    if (!S_ISREG(info.st_mode)) return fail(Errc::unsupported, fmt::format("'{}' is not a regular file", path));
    std::string out;
    const auto too_large = [&] {
      return fail(Errc::invalid_input, fmt::format("'{}' is larger than the limit of {} bytes", path, limit));
    };
    if (static_cast<std::uint64_t>(info.st_size) > limit) return too_large();
    out.resize(static_cast<std::size_t>(info.st_size) + 1);  // one more, to meet the end without another read
    std::size_t used = 0;
    while (true) {
      if (used == out.size()) out.resize(out.size() * 2);
      const auto got = ::read(fd, out.data() + used, out.size() - used);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(from_errno(errno, path));
      if (got == 0) break;
      used += static_cast<std::size_t>(got);
      if (used > limit) return too_large();  // it grew, or is one of /proc that have no size
    }
    out.resize(used);
    return out;
  }

  std::vector<std::string> list(const std::string& path) const override {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
    if (!folder) return names;
    while (const auto* entry = ::readdir(folder.get())) {
      std::string name(static_cast<const char*>(entry->d_name));
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    std::ranges::sort(names);
    return names;
  }

  std::string canonical(const std::string& path) const override {
    if (const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free); real)
      return real.get();
    std::array<char, 4096> folder{};
    const char* here = ::getcwd(folder.data(), folder.size());
    return clean_path(path, here != nullptr ? here : "/");
  }
};

}  // namespace

const Files& disk() {
  static const Disk instance;
  return instance;
}

void MemoryFiles::add(const std::string& path, std::string content, std::uint32_t mode) {
  files_[clean_path(path)] = {std::move(content), mode, false};
}

void MemoryFiles::add_folder(const std::string& path) { files_[clean_path(path)] = {{}, 0755, true}; }

Stat MemoryFiles::stat(const std::string& path) const {
  const auto clean = clean_path(path);
  if (const auto found = files_.find(clean); found != files_.end()) {
    const File& file = found->second;
    if (file.folder) return {Kind::directory, file.mode, 0, false};
    return {Kind::regular, file.mode, file.content.size(), false};
  }
  const auto inside = clean == "/" ? clean : clean + "/";
  const auto below = files_.lower_bound(inside);
  if (below != files_.end() && below->first.starts_with(inside)) return {Kind::directory, 0755, 0, false};
  return {};
}

Result<std::string> MemoryFiles::read(const std::string& path, std::uint64_t limit) const {
  const auto found = files_.find(clean_path(path));
  if (found == files_.end()) {
    if (stat(path).kind == Kind::directory)
      return fail(Errc::unsupported, fmt::format("'{}' is a folder, not a file", path));
    return fail(Errc::not_found, fmt::format("cannot open '{}': No such file or directory", path));
  }
  if (found->second.folder) return fail(Errc::unsupported, fmt::format("'{}' is a folder, not a file", path));
  if (found->second.content.size() > limit)
    return fail(Errc::invalid_input, fmt::format("'{}' is larger than the limit of {} bytes", path, limit));
  return found->second.content;
}

std::vector<std::string> MemoryFiles::list(const std::string& path) const {
  auto inside = clean_path(path);
  if (inside != "/") inside += '/';
  std::vector<std::string> names;
  for (auto at = files_.lower_bound(inside); at != files_.end() && at->first.starts_with(inside); ++at) {
    const auto rest = std::string_view(at->first).substr(inside.size());
    std::string name(rest.substr(0, rest.find('/')));
    if (!name.empty() && (names.empty() || names.back() != name)) names.push_back(std::move(name));
  }
  return names;
}

std::string MemoryFiles::canonical(const std::string& path) const { return clean_path(path); }

std::string clean_path(std::string_view path, std::string_view base) {
  std::vector<std::string_view> parts;
  const auto take = [&parts](std::string_view text) {
    while (!text.empty()) {
      const auto slash = std::min(text.find('/'), text.size());
      const auto part = text.substr(0, slash);
      text.remove_prefix(std::min(slash + 1, text.size()));
      if (part.empty() || part == ".") continue;
      if (part != "..") parts.push_back(part);
      else if (!parts.empty()) parts.pop_back();
    }
  };
  if (!path.starts_with('/')) take(base);
  take(path);
  std::string out;
  for (const auto part : parts) {
    out += '/';
    out += part;
  }
  return out.empty() ? "/" : out;
}

std::string parent_path(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace dm::sources
