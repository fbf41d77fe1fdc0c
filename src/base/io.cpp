#include "base/io.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace dm {
namespace {

/// Waits until `fd` can be used, at most until the deadline.
Result<void> wait_for(int fd, short events, const Deadline& deadline) {
  for (;;) {
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (deadline.passed()) return fail(Errc::timeout, "the deadline passed");
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, deadline.poll_ms());
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(errno_error("poll", errno));
  }
}

}  // namespace

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Error errno_error(std::string_view doing, int error) {
  Errc code = Errc::failed;
  if (error == ENOENT || error == ENOTDIR) code = Errc::not_found;
  if (error == EACCES || error == EPERM || error == EROFS) code = Errc::denied;
  if (error == EEXIST || error == EBUSY || error == EADDRINUSE) code = Errc::conflict;
  if (error == ECONNREFUSED || error == EAGAIN || error == ECONNRESET || error == EPIPE || error == ENETUNREACH || error == EHOSTUNREACH)
    code = Errc::unavailable;
  return Error{code, fmt::format("{}: {}", doing, std::system_category().message(error)), {}};
}

Result<void> write_all(int fd, std::string_view bytes, const Deadline& deadline) {
  while (!bytes.empty()) {
    DM_CHECK(wait_for(fd, POLLOUT, deadline));
    const auto wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote > 0) bytes.remove_prefix(static_cast<std::size_t>(wrote));
    if (wrote < 0 && errno != EINTR && errno != EAGAIN) return fail(errno_error("write", errno));
  }
  return {};
}

Result<std::string> read_some(int fd, std::size_t limit, const Deadline& deadline) {
  std::string piece(limit, '\0');
  for (;;) {
    DM_CHECK(wait_for(fd, POLLIN, deadline));
    const auto got = ::read(fd, piece.data(), piece.size());
    if (got >= 0) {
      piece.resize(static_cast<std::size_t>(got));
      return piece;
    }
    if (errno != EINTR && errno != EAGAIN) return fail(errno_error("read", errno));
  }
}

}  // namespace dm
