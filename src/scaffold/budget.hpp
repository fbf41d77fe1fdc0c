/// Does a choice of profiles fit a host? From budgets.yaml: memory by service.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::scaffold {

struct Budget {
  struct Service {
    std::string name;
    std::uint64_t limit_mb = 0, reserved_mb = 0;
    std::vector<std::string> profiles;
  };
  std::uint64_t system_mb = 0;                ///< kept free for the system
  std::vector<Service> services;
  std::vector<std::string> combinations;      ///< documented sets of profiles, "a,b"
  /// The set with the most services that such a host carries: its reservations fit, and its limits together are at most twice the room; where
  /// all are above that, the smallest. Null where no reservations fit.
  const std::string* proposal(std::uint64_t host_gb) const;
};

struct Fit {
  enum class Verdict : std::uint8_t { fits, over_committed, too_small } verdict = Verdict::fits;
  std::size_t services = 0;
  std::uint64_t limits_mb = 0, reserved_mb = 0, room_mb = 0;
  std::string describe() const;               ///< one sentence
  std::string_view word() const;              ///< "fits"
};

/// Errors: `invalid_input` with the line.
Result<Budget> parse_budget(std::string_view yaml);
Fit fit(const Budget& budget, const std::vector<std::string>& profiles, std::uint64_t host_gb);

}  // namespace dm::scaffold
