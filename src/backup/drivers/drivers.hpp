/// The drivers, one line each.
#pragma once

#include "backup/driver.hpp"

namespace dm::backup {

const Driver& postgres_driver();
const Driver& mariadb_driver();
const Driver& valkey_driver();
const Driver& openldap_driver();
const Driver& clickhouse_driver();
const Driver& couchdb_driver();
const Driver& qdrant_driver();
const Driver& tree_driver();
const Driver& sealed_driver();

}  // namespace dm::backup
