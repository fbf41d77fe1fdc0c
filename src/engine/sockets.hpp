/// Descriptors with deadlines: what the transports share.
#pragma once

#include <string>

#include "base/io.hpp"

namespace dm::engine {

/// Until `fd` is ready for `events` (poll(2)); `timeout` or `conflict` (interrupted) otherwise.
Result<void> wait_until(int fd, short events, const Deadline& deadline);
/// Nothing to read and not hung up.
bool quiet(int fd);
/// A connected, non-blocking TCP socket. Name resolution itself cannot be interrupted.
Result<Fd> connect_tcp(const std::string& host, const std::string& port, const Deadline& deadline);

}  // namespace dm::engine
