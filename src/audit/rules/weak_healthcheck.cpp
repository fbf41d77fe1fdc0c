#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/scripts.hpp"

namespace dm::audit::rules {

namespace {

/// `curl URL` whose answer nobody looks at: any answer will do.
bool curl_takes_errors(std::string_view command) {
  if (command.find_first_of("`<") != std::string_view::npos || command.find("$(") != std::string_view::npos) return false;
  bool curl = false;
  for (const auto& word : audit::words(command)) {
    if (word.text == "curl" || word.text.ends_with("/curl")) curl = true;
    const bool shorts = word.text.size() > 1 && word.text[0] == '-' && word.text[1] != '-';
    if (word.text.starts_with("--fail") || (shorts && word.text.find('f') != std::string::npos)) return false;
    if (word.text == "|" || word.text == "-w" || word.text.starts_with("--write-out")) return false;
  }
  return curl && command.find("http") != std::string_view::npos;
}

/// `pgrep -f python`, `pidof ddclient || exit 1`: one look at the list of processes and nothing else.
bool looks_for_process(std::string_view command) {
  const auto list = audit::commands(command);
  return !list.empty() && std::ranges::all_of(list, [](const auto& one) {
    const auto name = one.name().substr(one.name().rfind('/') + 1);
    return name == "pgrep" || name == "pidof" || name == "exit" || name == "false";
  }) && list.front().name() != "exit" && list.front().name() != "false";
}

}  // namespace

extern constinit const Rule weak_healthcheck{
    .id = "DM0305",
    .name = "weak-healthcheck",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a healthcheck that passes too early or on errors",
    .rationale = "`pg_isready` without `-h` passes on the socket while the image still runs its temporary init "
                 "server; `mariadb-admin ping` passes when access is denied; `valkey-cli ping` passes on error "
                 "replies; `curl` without `--fail` passes on error pages.",
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
  web:
    image: example/web:1
    healthcheck:
      test: ["CMD", "curl", "-s", "http://localhost:3000/health"]  # <- DM0305
  api:
    image: example/api:1
    healthcheck:
      test: curl http://localhost:3000/health || exit 1  # <- DM0305
  worker:
    image: example/worker:1
    healthcheck:
      test: ["CMD-SHELL", "pgrep -f worker || exit 1"]  # <- DM0305
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
  replica:
    image: postgres:17
    entrypoint: ["/bin/bash", "/scripts/replica.sh"]
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U app"]
  cache:
    image: valkey/valkey:8
    healthcheck:
      test: ["CMD-SHELL", "valkey-cli ping | grep PONG"]
  web:
    image: example/web:1
    healthcheck:
      test: ["CMD", "curl", "-sf", "http://localhost:3000/health"]
  api:
    image: example/api:1
    healthcheck:
      test: ["CMD-SHELL", "curl -s http://localhost:3000/health | grep -q ok"]
  worker:
    image: example/worker:1
    healthcheck:
      test: ["CMD-SHELL", "pgrep -f worker && find /tmp/beat -mmin -1 | grep -q beat"]
)",
    .minutes = 3,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.healthcheck || service.healthcheck->disabled || service.healthcheck->test.size() < 2) return;
            const auto command = health_command(service);
            const auto has = [&](std::string_view part) { return command.find(part) != std::string::npos; };
            if (curl_takes_errors(command))
              report.add(service.healthcheck->test[1].where(), id, fmt::format("healthcheck of '{}' passes on error pages too", service.name), "`curl` without `--fail` exits 0 on HTTP 500",
                         "add `--fail` (`-f`)");
            if (looks_for_process(command))
              report.add(service.healthcheck->test[1].where(), id, fmt::format("healthcheck of '{}' only looks whether a process runs", service.name),
                         "a container ends with its process anyway; one that hangs has it still", "ask its port; let a worker without one write the time to a file, and look at that file's age");
            const auto* store = input.wiring.datastore(id);
            if (store == nullptr) return;
            const bool postgres = store->kind == "postgres" && has("pg_isready") && !has("-h") && !has("--host") && !has("psql") && service.entrypoint.empty();  // without the image's entrypoint there is no init server
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
