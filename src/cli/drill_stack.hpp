/// `datamancy drill stack`.
#pragma once

#include "cli/verbs.hpp"

namespace dm::cli {

int drill_stack(Args& args);

}  // namespace dm::cli
