#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {

extern constinit const Rule weak_healthcheck{
    .id = "DM0305",
    .name = "weak-healthcheck",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a healthcheck that passes too early or on errors",
    .rationale = "`pg_isready` without `-h` passes on the socket while the image still runs its temporary init "
                 "server; `mariadb-admin ping` passes when access is denied; `valkey-cli ping` passes on error "
                 "replies.",
    .fix = "PostgreSQL: `pg_isready -h 127.0.0.1`; MariaDB: `healthcheck.sh --connect --innodb_initialized`; "
                 "Valkey and Redis: `-e ping`.",
    .checks = "109 O1",
    .bad = R"(services:
  db:
    image: postgres:17
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U postgres"]  # <- DM0305
  shop:
    image: mysql:8.4
    healthcheck:
      test: ["CMD", "mysqladmin", "ping", "-h", "localhost"]  # <- DM0305
)",
    .good = R"(services:
  db:
    image: postgres:17
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -h 127.0.0.1 -U postgres"]
  shop:
    image: mysql:8.4
    healthcheck:
      test: ["CMD-SHELL", "MYSQL_PWD=$$MYSQL_PASSWORD mysql -h 127.0.0.1 -u shop -e 'SELECT 1'"]
)",
    .look_alike = R"(services:
  cache:
    image: valkey/valkey:8
    healthcheck:
      test: ["CMD-SHELL", "valkey-cli ping | grep PONG"]
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.healthcheck || service.healthcheck->disabled || service.healthcheck->test.size() < 2) return;
            const auto command = health_command(service);
            const auto has = [&](std::string_view part) { return command.find(part) != std::string::npos; };
            const auto* store = input.wiring.datastore(id);
            if (store == nullptr) return;
            const bool postgres = store->kind == "postgres" && has("pg_isready") && !has("-h") && !has("--host") && !has("psql");
            const bool cache = store->kind == "valkey" && has("-cli") && has("ping") && !has(" -e") && !has("PONG");
            const bool mysql = (store->kind == "mariadb" || store->kind == "mysql") && (has("mysqladmin") || has("mariadb-admin")) && has("ping");
            if (postgres || cache)
              report.add(service.healthcheck->test[1].where(), id,
                         fmt::format("healthcheck of '{}' passes {}", service.name, postgres ? "while the image's temporary init server runs" : "on error replies too"),
                         postgres ? "`pg_isready` without `-h` asks the socket" : "`ping` exits 0 on NOAUTH, LOADING and MISCONF",
                         postgres ? "ask over TCP: `pg_isready -h 127.0.0.1`" : "add `-e`, or test for PONG");
            if (mysql)
              report.add(service.healthcheck->test[1].where(), id, fmt::format("healthcheck of '{}' passes while logins are refused", service.name),
                         has("127.0.0.1") || has("--protocol") ? "`ping` exits 0 on `Access denied`"
                                                               : "`ping` exits 0 on `Access denied`, and over the socket it reaches the image's temporary init server",
                         store->product->id == "mariadb" ? "`healthcheck.sh --connect --innodb_initialized`"
                                                         : "ask over TCP with a login: `mysql -h 127.0.0.1 -u USER -e 'SELECT 1'`, the password in MYSQL_PWD");
          });
        },
};

}  // namespace dm::audit::rules
