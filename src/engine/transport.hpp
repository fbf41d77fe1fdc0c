/// How bytes reach an engine. One connection per stream; HTTP is a layer above (http.hpp).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/io.hpp"

namespace dm::engine {

/// A two-way byte stream. One thread may read while another writes.
class Connection {
 public:
  virtual ~Connection() = default;
  /// At least one byte into `buffer`, or 0 at the end.
  virtual Result<std::size_t> read(char* buffer, std::size_t size, const Deadline& deadline) = 0;
  virtual Result<void> write(std::string_view bytes, const Deadline& deadline) = 0;
  /// The other side sees the end; reading goes on.
  virtual Result<void> finish_writing() = 0;
  /// An idle connection on which the other side has said something or has gone cannot be used again.
  virtual bool idle() const = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<std::unique_ptr<Connection>> connect(const Deadline& deadline) const = 0;
  /// The Host header.
  virtual std::string host() const = 0;
};

/// Certificates of a TLS engine; PEM texts. An empty `ca` trusts the system's.
struct TlsFiles {
  std::string ca{}, cert{}, key{};
  bool verify = true;
};

/// `unix:///path`. Errors of connect: `not_found` (no socket), `denied` (names the group that may), `unavailable` (nobody listens).
std::unique_ptr<Transport> unix_transport(std::string path);
/// `tcp://host:port`, with TLS where `tls` is given.
std::unique_ptr<Transport> tcp_transport(std::string host, std::string port);
Result<std::unique_ptr<Transport>> tls_transport(std::string host, std::string port, TlsFiles files);
/// `ssh://user@host:port/path`: `ssh -- HOST docker system dial-stdio`, as the docker CLI does.
std::unique_ptr<Transport> ssh_transport(std::string user, std::string host, std::string port, std::string socket_path);

/// A connection over a descriptor that is one socket; shared by unix, tcp and ssh.
std::unique_ptr<Connection> fd_connection(Fd fd);

}  // namespace dm::engine
