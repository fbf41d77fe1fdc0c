#include "cli/verbs.hpp"
namespace dm::cli {
int audit(Args&) { return kFailed; }
int explain(Args&) { return kFailed; }
int rules(Args&) { return kFailed; }
}  // namespace dm::cli
