#include "base/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

namespace dm {
namespace {

struct Free {
  void operator()(char* text) const { std::free(text); }
};

/// Where a chain of symbolic links ends; `path` itself where it is none.
std::string link_target(const std::string& path) {
  const std::unique_ptr<char, Free> real(::realpath(path.c_str(), nullptr));
  return real ? std::string(real.get()) : path;
}

}  // namespace

Result<void> write_atomic(const std::string& path, std::string_view bytes, int mode) {
  const std::string target = link_target(path);
  struct stat old {};
  const bool exists = ::stat(target.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) return fail(Errc::unsupported, fmt::format("'{}' is not a regular file", path));
  const auto slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : target.substr(0, slash);
  std::string temporary = fmt::format("{}/.{}.XXXXXX", folder, slash == std::string::npos ? target : target.substr(slash + 1));

  const mode_t wanted = mode >= 0 ? static_cast<mode_t>(mode) : exists ? old.st_mode & 07777U : 0644U;
  Fd file(::mkostemp(temporary.data(), O_CLOEXEC));  // 0600 until the content is there
  if (!file) return fail(errno_error(fmt::format("write '{}'", path), errno));
  const auto give_up = [&](Error error) {
    ::unlink(temporary.c_str());
    return fail(std::move(error));
  };
  if (auto wrote = write_all(file.get(), bytes); !wrote) return give_up(std::move(wrote.error()));
  if (exists && ::fchown(file.get(), old.st_uid, old.st_gid) != 0 && errno != EPERM) return give_up(errno_error("chown", errno));
  if (::fchmod(file.get(), wanted) != 0 || ::fsync(file.get()) != 0) return give_up(errno_error(fmt::format("write '{}'", path), errno));
  // From here on the new content is complete on disk under its temporary name.
  if (::rename(temporary.c_str(), target.c_str()) != 0) return give_up(errno_error(fmt::format("replace '{}'", path), errno));
  const Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) ::fsync(directory.get());
  return {};
}

Result<void> make_folders(const std::string& path, int mode) {
  for (std::size_t cut = 1; cut <= path.size(); ++cut) {
    cut = path.find('/', cut);
    if (cut == std::string::npos) cut = path.size();
    const auto part = path.substr(0, cut);
    if (::mkdir(part.c_str(), static_cast<mode_t>(mode)) == 0) continue;
    const int error = errno;
    struct stat there {};
    if (::stat(part.c_str(), &there) != 0 || !S_ISDIR(there.st_mode)) return fail(errno_error(fmt::format("create folder '{}'", part), error));
  }
  return {};
}

Result<Fd> memory_file(std::string_view name, std::string_view bytes) {
  Fd file(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return fail(errno_error("memfd_create", errno));
  DM_CHECK(write_all(file.get(), bytes));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail(errno_error("lseek", errno));
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) return fail(errno_error("seal", errno));
  return file;
}

Result<Fd> lock_file(const std::string& path, std::string_view what, const Deadline& deadline) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return fail(errno_error(fmt::format("lock '{}'", path), errno));
  for (;;) {
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) break;
    if (errno != EWOULDBLOCK) return fail(errno_error(fmt::format("lock '{}'", path), errno));
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (deadline.passed()) {
      std::string holder(200, '\0');
      const auto got = ::pread(file.get(), holder.data(), holder.size(), 0);
      holder.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      return fail(Errc::conflict, fmt::format("'{}' is held by {}", path, holder.empty() ? "another process" : holder));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const auto text = fmt::format("pid {} ({})", ::getpid(), what);
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), text.data(), text.size(), 0) < 0) return fail(errno_error(fmt::format("write lock '{}'", path), errno));
  return file;
}

}  // namespace dm
