#!/usr/bin/env bash
# Lab health check of MariaDB. Imitates MariaDB/mariadb-docker, 11.8/healthcheck.sh at c02ad8feaccd4d575e72157be56b8439bd85a3e4:
# --connect (TCP, the state after init: 59-102), --innodb_initialized (111-116), --innodb_buffer_pool_loaded (123-131),
# --no-connect, --su-mysql, --datadir, --defaults-extra-file. Left out: galera, replication, upgrade.
set -euo pipefail
datadir=/var/lib/mysql
extra=''
connected=''

sql() {
  local file=${extra:-$datadir/.my-healthcheck.cnf} options=()
  [[ ! -f $file ]] || options=(--defaults-extra-file="$file")
  mariadb "${options[@]}" --skip-ssl --protocol socket -B --skip-column-names -e "$1"
}

# True when the server takes connections over the network; a denied login is a connection, too.
connect() {
  connected=yes
  local answer
  answer=$(sql 'select @@skip_networking' 2>/dev/null) || answer=''
  case $answer in
    0) return 0 ;;
    1) return 1 ;;
  esac
  answer=$(mariadb --no-defaults --skip-ssl -h 127.0.0.1 --protocol tcp -B --skip-column-names -e 'select @@skip_networking' 2>&1) || :
  case $answer in
    0 | 'ERROR 1820 '* | 'ERROR 4151 '* | 'ERROR 1226 '* | 'ERROR 1'[0-9][0-9][0-9]' (28000)'*) return 0 ;;
  esac
  return 1
}
innodb_initialized() { [[ $(sql "select 1 from information_schema.engines where engine = 'innodb' and support in ('YES', 'DEFAULT', 'ENABLED')") == 1 ]]; }
innodb_buffer_pool_loaded() { [[ $(sql "select variable_value from information_schema.global_status where variable_name = 'Innodb_buffer_pool_load_status'") == *'load completed'* ]]; }

[[ $# -gt 0 ]] || { echo 'At least one argument required' >&2; exit 1; }
while [[ $# -gt 0 ]]; do
  case $1 in
    --su-mysql) shift; exec gosu mysql "$0" "$@" ;;
    --su=*) user=${1#*=}; shift; exec gosu "$user" "$0" "$@" ;;
    --datadir=*) datadir=${1#*=} ;;
    --defaults-extra-file=* | --defaults-file=*) extra=${1#*=} ;;
    --no-connect) connected=yes ;;
    --connect | --innodb_initialized | --innodb_buffer_pool_loaded)
      "${1#--}" || { echo "healthcheck ${1#--} failed" >&2; exit 1; } ;;
    *) echo "Unknown healthcheck option $1" >&2; exit 1 ;;
  esac
  shift
done
[[ -n $connected ]] || connect
