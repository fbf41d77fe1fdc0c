#include "backup/driver.hpp"

#include <algorithm>
#include <array>

#include "backup/drivers/drivers.hpp"

namespace dm::backup {

std::span<const Driver* const> drivers() {
  static const std::array kDrivers{
      &postgres_driver(),
      &mariadb_driver(),
      &valkey_driver(),
      &openldap_driver(),
      &clickhouse_driver(),
      &couchdb_driver(),
      &qdrant_driver(),
      &tree_driver(),
      &sealed_driver(),
  };
  return kDrivers;
}

const Driver* driver_of(std::string_view kind) {
  const auto all = drivers();
  const auto found = std::ranges::find_if(all, [&](const Driver* driver) { return driver->kind() == kind; });
  return found == all.end() ? nullptr : *found;
}

}  // namespace dm::backup
