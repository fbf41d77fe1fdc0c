/// Ctrl-C as a token: the first one asks to stop in good order, the second one ends the process.
#pragma once

#include <stop_token>
#include <thread>

#include "base/io.hpp"

namespace dm::cli {

/// One at a time. SIGINT, SIGTERM and SIGHUP stop the token; a second one ends the process with status 130.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  std::stop_token token() const { return source_.get_token(); }
  bool happened() const { return source_.stop_requested(); }

 private:
  std::stop_source source_;
  Fd read_;
  std::jthread thread_;
};

}  // namespace dm::cli
