#!/usr/bin/env bash
# Lab entrypoint of MySQL. Imitates docker-library/mysql, 9.7/docker-entrypoint.sh at 42686d1c1bba5b1e4f332ef802fdabc8fedae1a7
# (functions named; left out: one-time passwords, time zones, init files other than sh, sql and sql.gz).
set -euo pipefail
shopt -s nullglob

note() { echo "$(date --rfc-3339=seconds) [Note] [Entrypoint]: $*"; }
die() { echo "$(date --rfc-3339=seconds) [ERROR] [Entrypoint]: $*" >&2; exit 1; }

# file_env: VAR or the content of the file that VAR_FILE names, not both.
file_env() {
  local name=$1 path_name=$1_FILE value=${2:-}
  local path=${!path_name:-}
  [[ -z ${!name:-} || -z $path ]] || die "Both $name and $path_name are set (but are exclusive)"
  [[ -z $path ]] || value=$(<"$path")
  [[ -z ${!name:-} ]] || value=${!name}
  export "$name=$value"
  unset "$path_name"
}

# docker_process_sql: as root over the socket.
docker_process_sql() {
  local password=${MYSQL_ROOT_PASSWORD:-}
  if [[ ${1:-} == --dont-use-mysql-root-password ]]; then password='' && shift; fi
  MYSQL_PWD=$password mysql --protocol=socket -uroot -hlocalhost --comments "$@"
}

quoted() { local text=${1//\\/\\\\}; printf "'%s'" "${text//\'/\\\'}"; }

# docker_setup_db, as one batch.
first_sql() {
  local user
  echo "set @@session.sql_log_bin=0;"
  if [[ $MYSQL_ROOT_HOST != localhost ]]; then
    echo "create user 'root'@$(quoted "$MYSQL_ROOT_HOST") identified by $(quoted "$MYSQL_ROOT_PASSWORD"); grant all on *.* to 'root'@$(quoted "$MYSQL_ROOT_HOST") with grant option;"
  fi
  echo "alter user 'root'@'localhost' identified by $(quoted "$MYSQL_ROOT_PASSWORD"); grant all on *.* to 'root'@'localhost' with grant option; flush privileges; drop database if exists test;"
  [[ -z $MYSQL_DATABASE ]] || echo "create database if not exists \`$MYSQL_DATABASE\`;"
  if [[ -n $MYSQL_USER && -n $MYSQL_PASSWORD ]]; then
    user="$(quoted "$MYSQL_USER")@'%'"
    echo "create user $user identified by $(quoted "$MYSQL_PASSWORD");"
    [[ -z $MYSQL_DATABASE ]] || echo "grant all on \`${MYSQL_DATABASE//_/\\_}\`.* to $user;"
  fi
}

# _main
[[ ${1:0:1} != - ]] || set -- mysqld "$@"
if [[ $1 == mysqld ]]; then
  datadir=/var/lib/mysql
  file_env MYSQL_ROOT_HOST %
  for name in DATABASE USER PASSWORD ROOT_PASSWORD; do file_env "MYSQL_$name"; done
  if [[ $(id -u) == 0 ]]; then
    find "$datadir" ! -user mysql -exec chown mysql: {} +
    note "Switching to dedicated user 'mysql'"
    exec gosu mysql "$0" "$@"
  fi
  if [[ ! -d $datadir/mysql ]]; then
    # docker_verify_minimum_env
    [[ -n $MYSQL_ROOT_PASSWORD${MYSQL_ALLOW_EMPTY_PASSWORD:-}${MYSQL_RANDOM_ROOT_PASSWORD:-} ]] ||
      die 'Database is uninitialized and password option is not specified: one of MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD and MYSQL_RANDOM_ROOT_PASSWORD'
    if [[ -n ${MYSQL_RANDOM_ROOT_PASSWORD:-} ]]; then
      MYSQL_ROOT_PASSWORD=$(pwgen -1 32)
      export MYSQL_ROOT_PASSWORD
      note "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
    fi
    note 'Initializing database files'
    "$@" --initialize-insecure --default-time-zone=SYSTEM
    note 'Starting temporary server'
    "$@" --skip-networking --default-time-zone=SYSTEM --mysqlx=OFF &
    server=$!
    for i in {1..600}; do
      ! docker_process_sql --dont-use-mysql-root-password <<<'select 1' >/dev/null 2>&1 || break
      kill -0 "$server" 2>/dev/null || die 'Unable to start server.'
      [[ $i != 600 ]] || die 'Unable to start server.'
      sleep 0.1
    done
    batch=$(first_sql)
    docker_process_sql --dont-use-mysql-root-password --binary-mode <<<"$batch"
    # docker_process_init_files
    for file in /docker-entrypoint-initdb.d/*; do
      note "running $file"
      case $file in
        *.sh) # shellcheck disable=SC1090
          if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
        *.sql) docker_process_sql ${MYSQL_DATABASE:+--database="$MYSQL_DATABASE"} <"$file" ;;
        *.sql.gz) gzip -dc "$file" | docker_process_sql ${MYSQL_DATABASE:+--database="$MYSQL_DATABASE"} ;;
        *) note "ignoring $file" ;;
      esac
    done
    note 'Stopping temporary server'
    kill "$server"
    wait "$server"
    note 'MySQL init process done. Ready for start up.'
  fi
fi
exec "$@"
