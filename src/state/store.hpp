/// Where the state of one project on one engine lives, and who may change it now.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/deadline.hpp"
#include "base/io.hpp"
#include "base/result.hpp"
#include "state/db.hpp"

namespace dm::state {

/// The folder of all stores: $DATAMANCY_STATE, else /var/lib/datamancy for root, else $XDG_STATE_HOME/datamancy, else
/// ~/.local/state/datamancy. `environment` is the process's.
std::string root_folder(const std::map<std::string, std::string>& environment, bool root);

/// The folder of one project on one engine (created, mode 0700): ROOT/<engine id, made safe as a file name>/<project>.
Result<std::string> store_folder(const std::string& root, std::string_view engine_id, std::string_view project);

/// `FOLDER/state.db`, opened. Throws StateError.
Db open_store(const std::string& folder);

/// Held while something changes the project: a second `up`, backup or drill waits until `deadline` or learns from the `conflict`
/// who holds it. Ends with the process, however it ends.
Result<Fd> lock_store(const std::string& folder, std::string_view what, const Deadline& deadline);

}  // namespace dm::state
