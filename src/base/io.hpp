/// Descriptors that close themselves, and byte streams as functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/deadline.hpp"
#include "base/result.hpp"

namespace dm {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

/// Receives a stream piece by piece, in order; an error stops the producer, which gives it back. Blocking is back pressure.
using Sink = std::function<Result<void>(std::string_view bytes)>;
/// Gives the next piece of a stream; an empty piece is the end.
using Source = std::function<Result<std::string>()>;

/// Writes all of `bytes` to a descriptor that may be non-blocking. Errors: `failed` with errno's words, `timeout`, `conflict`.
Result<void> write_all(int fd, std::string_view bytes, const Deadline& deadline = {});
/// One piece of at most `limit` bytes; empty at the end. Errors as `write_all`.
Result<std::string> read_some(int fd, std::size_t limit = 65536, const Deadline& deadline = {});

/// "open /x: No such file or directory" with the code that fits errno: `not_found`, `denied`, `conflict` (exists), `unavailable`
/// (connection refused, no such socket peer), else `failed`.
Error errno_error(std::string_view doing, int error);

}  // namespace dm
