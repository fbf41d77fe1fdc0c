#include "engine/transport.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/sockets.hpp"

namespace dm::engine {
namespace {

class FdConnection final : public Connection {
 public:
  explicit FdConnection(Fd fd) : fd_(std::move(fd)) {}

  Result<std::size_t> read(char* buffer, std::size_t size, const Deadline& deadline) override {
    for (;;) {
      const auto got = ::recv(fd_.get(), buffer, size, MSG_DONTWAIT);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        DM_CHECK(wait_until(fd_.get(), POLLIN, deadline));
      } else if (errno != EINTR) {
        return fail(errno_error("reading from the engine", errno));
      }
    }
  }
  Result<void> write(std::string_view bytes, const Deadline& deadline) override {
    while (!bytes.empty()) {
      const auto put = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(put));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        DM_CHECK(wait_until(fd_.get(), POLLOUT, deadline));
      } else if (errno != EINTR) {
        return fail(errno_error("writing to the engine", errno));
      }
    }
    return {};
  }
  Result<void> finish_writing() override {
    if (::shutdown(fd_.get(), SHUT_WR) != 0 && errno != ENOTCONN) return fail(errno_error("ending the stream to the engine", errno));
    return {};
  }
  bool idle() const override { return quiet(fd_.get()); }

 private:
  Fd fd_;
};

/// "root and the group 'docker'", for a socket that refuses us.
std::string who_may(const std::string& path) {
  struct stat what {};
  if (::stat(path.c_str(), &what) != 0) return "root";
  std::array<char, 4096> space;  // NOLINT: filled by getgrgid_r
  group entry{};
  group* found = nullptr;
  if (::getgrgid_r(what.st_gid, &entry, space.data(), space.size(), &found) == 0 && found != nullptr) return fmt::format("root and members of the group '{}'", found->gr_name);
  return fmt::format("root and members of the group {}", what.st_gid);
}

class UnixTransport final : public Transport {
 public:
  explicit UnixTransport(std::string path) : path_(std::move(path)) {}

  Result<std::unique_ptr<Connection>> connect(const Deadline& deadline) const override {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) return fail(Errc::invalid_input, fmt::format("socket path '{}' is longer than {} bytes", path_, sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path_.data(), path_.size());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail(errno_error("socket", errno));
    for (;;) {
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) break;  // NOLINT: as connect(2) wants it
      if (errno == EAGAIN) {  // its queue is full: it may be busy, or stuck
        if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
        if (deadline.passed()) return fail(Errc::timeout, fmt::format("no engine accepted the connection on {} in time", path_));
        ::poll(nullptr, 0, deadline.poll_ms(50));
        continue;
      }
      if (errno == EINTR) continue;
      return fail(refusal(errno));
    }
    return fd_connection(std::move(fd));
  }
  std::string host() const override { return "docker"; }

 private:
  Error refusal(int error) const {
    if (error == ENOENT || error == ENOTDIR)
      return Error{Errc::unavailable, fmt::format("no engine: there is no socket {}; is Docker installed and started (systemctl start docker), or does DOCKER_HOST name another?", path_), {}};
    if (error == EACCES || error == EPERM)
      return Error{Errc::denied, fmt::format("may not use {}: only {} may; add the user to it (usermod -aG docker USER, then log in again) or run this as root", path_, who_may(path_)), {}};
    if (error == ECONNREFUSED) return Error{Errc::unavailable, fmt::format("no engine listens on {}: it is stopped or starting", path_), {}};
    if (error == ENOTSOCK || error == EPROTOTYPE) return Error{Errc::invalid_input, fmt::format("{} is not a socket of an engine", path_), {}};
    return errno_error("connect " + path_, error);
  }
  std::string path_;
};

class TcpTransport final : public Transport {
 public:
  TcpTransport(std::string host, std::string port) : host_(std::move(host)), port_(std::move(port)) {}
  Result<std::unique_ptr<Connection>> connect(const Deadline& deadline) const override {
    DM_TRY(Fd fd, connect_tcp(host_, port_, deadline));
    return fd_connection(std::move(fd));
  }
  std::string host() const override { return host_ + ":" + port_; }

 private:
  std::string host_, port_;
};

}  // namespace

Result<void> wait_until(int fd, short events, const Deadline& deadline) {
  for (;;) {
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (deadline.passed()) return fail(Errc::timeout, "the engine did not answer in time");
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, deadline.poll_ms());
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(errno_error("poll", errno));
  }
}

bool quiet(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 0;
}

Result<Fd> connect_tcp(const std::string& host, const std::string& port, const Deadline& deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); error != 0)
    return fail(Errc::unavailable, fmt::format("cannot resolve '{}': {}", host, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  Error last{Errc::unavailable, fmt::format("'{}' has no address", host), {}};
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Fd fd(::socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) continue;
    if (::connect(fd.get(), entry->ai_addr, entry->ai_addrlen) != 0) {
      if (errno != EINPROGRESS) {
        last = errno_error(fmt::format("connect {}:{}", host, port), errno);
        continue;
      }
      DM_CHECK(wait_until(fd.get(), POLLOUT, deadline));
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) {
        last = errno_error(fmt::format("connect {}:{}", host, port), error);
        continue;
      }
    }
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return fd;
  }
  return fail(std::move(last));
}

std::unique_ptr<Connection> fd_connection(Fd fd) { return std::make_unique<FdConnection>(std::move(fd)); }
std::unique_ptr<Transport> unix_transport(std::string path) { return std::make_unique<UnixTransport>(std::move(path)); }
std::unique_ptr<Transport> tcp_transport(std::string host, std::string port) { return std::make_unique<TcpTransport>(std::move(host), std::move(port)); }

}  // namespace dm::engine
