#include "backup/repository.hpp"

namespace dm::backup {
std::unique_ptr<Repository> make_kopia(Location, const std::string&) { return nullptr; }
}  // namespace dm::backup
