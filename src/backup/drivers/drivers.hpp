/// The drivers, one line each.
#pragma once

#include "backup/driver.hpp"

namespace dm::backup {

const Driver& postgres_driver();
const Driver& tree_driver();

}  // namespace dm::backup
