/// Ctrl-C as a token: the first one asks to stop in good order, the second one ends the process.
#pragma once

#include <stop_token>

namespace dm::cli {

/// While one lives, the first SIGINT, SIGTERM or SIGHUP stops the token and the second ends the process with status 130. There may be several, one inside the
/// other (an upgrade brings services up): they share what happened, so an interruption stops whatever is at work and whatever would come next.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  std::stop_token token() const;
  bool happened() const { return token().stop_requested(); }
};

}  // namespace dm::cli
