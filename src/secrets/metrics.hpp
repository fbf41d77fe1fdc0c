/// What monitoring wants to know of sealed secrets, as a text file for Prometheus' node exporter. No value, no name of a secret.
#pragma once

#include <string>

#include "secrets/keyring.hpp"

namespace dm::secrets {

/// `$DATAMANCY_METRICS` (a folder), for root else the folder of Debian's node exporter where it is there; "" = nothing is written.
std::string metrics_folder(const KeySources& sources, bool root);

/// `datamancy_secrets.prom` in `folder`: failures by exit status, the last success, when the key was made. One run's end is added to what the file
/// says: `exit` 10 to 13 is a failure, `opened` a success. Errors: the folder cannot be written.
Result<void> count_run(const std::string& folder, const KeySources& sources, int exit, bool opened);

}  // namespace dm::secrets
