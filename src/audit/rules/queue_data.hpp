/// Where message brokers write, for DM0401 (nothing is mounted there) and DM0402 (something is mounted elsewhere).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/rule.hpp"

namespace dm::audit::rules {

struct QueueData {
  std::vector<std::string> paths;         ///< never empty; the first is what messages name
  const compose::Mount* elsewhere = nullptr;  ///< a volume that was surely meant for the data
  std::string why;                        ///< "KAFKA_LOG_DIRS is not set", or ""
};

/// Of a broker whose data is on none of its mounts; nothing for other services, and where the files do not tell.
std::optional<QueueData> queue_without_volume(const Input& input, ServiceId id);

}  // namespace dm::audit::rules
