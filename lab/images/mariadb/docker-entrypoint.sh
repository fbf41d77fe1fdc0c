#!/usr/bin/env bash
# Lab entrypoint of MariaDB. Imitates MariaDB/mariadb-docker, 11.8/docker-entrypoint.sh at
# 17518aee23c62490597604ae7af90315e987ebd6 (functions cited; left out: replication, automatic upgrade).
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

# _mariadb_file_env: MYSQL_x and MARIADB_x become the same; MARIADB_x wins.
both_names() {
  local old=MYSQL_$1 new=MARIADB_$1
  file_env "$old" "${2:-}"
  file_env "$new" "${!old}"
  export "$old=${!new}"
}

# docker_process_sql: as root over the socket; init scripts call it by this name.
docker_process_sql() {
  local password=${MARIADB_ROOT_PASSWORD:-}
  if [[ ${1:-} == --dont-use-mysql-root-password ]]; then password='' && shift; fi
  local database=()
  [[ -z ${MARIADB_DATABASE:-} ]] || database=(--database="$MARIADB_DATABASE")
  MYSQL_PWD=$password mariadb --protocol=socket -uroot -hlocalhost --socket="$socket" "${database[@]}" "$@"
}

# mysql_get_config: what the server itself says it would use.
setting() { mariadbd "${@:2}" --verbose --help 2>/dev/null | awk -v name="$1" '$1 == name && /^[a-z]/ { $1 = ""; sub(/^ +/, ""); print; exit }'; }

# docker_sql_escape_string_literal
quoted() {
  local text=${1//\\/\\\\}
  text=${text//$'\n'/\\n}
  printf "'%s'" "${text//\'/\\\'}"
}

server_pid=''
# docker_temp_server_start: no network, so that nobody from outside sees the half-made server; `mariadb-admin ping` on the
# socket does.
server_start() {
  mariadbd "$@" --skip-networking --default-time-zone=SYSTEM --socket="$socket" --wsrep_on=OFF --skip-slave-start \
    --loose-innodb_buffer_pool_load_at_startup=0 --skip-ssl --ssl-cert= --ssl-key= --ssl-ca= &
  server_pid=$!
  local i
  for i in {1..300}; do
    ! docker_process_sql --dont-use-mysql-root-password --database=mysql --skip-ssl <<<'select 1' >/dev/null 2>&1 || return 0
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  die 'Unable to start server.'
}
server_stop() { kill "$server_pid"; wait "$server_pid"; }

# docker_setup_db and create_healthcheck_users, as one batch.
first_sql() {
  local user host password
  echo "set @@session.sql_log_bin=0;"
  echo "set @@session.sql_mode=replace(@@session.sql_mode, 'NO_BACKSLASH_ESCAPES', '');"
  echo "drop user if exists root@'127.0.0.1', root@'::1'; execute immediate concat('drop user if exists root@\\'', @@hostname, '\\'');"
  [[ -n ${MARIADB_ROOT_PASSWORD_HASH:-} ]] || echo "set password for root@localhost = password($(quoted "$MARIADB_ROOT_PASSWORD"));"
  if [[ -n $MARIADB_ROOT_HOST && $MARIADB_ROOT_HOST != localhost ]]; then
    user="root@$(quoted "$MARIADB_ROOT_HOST")"
    if [[ -n ${MARIADB_ROOT_PASSWORD_HASH:-} ]]; then
      echo "create user $user identified by password $(quoted "$MARIADB_ROOT_PASSWORD_HASH");"
    else
      echo "create user $user identified by $(quoted "$MARIADB_ROOT_PASSWORD");"
    fi
    echo "grant all on *.* to $user with grant option; grant proxy on ''@'%' to $user with grant option;"
  fi
  if [[ -n ${MARIADB_MYSQL_LOCALHOST_USER:-} ]]; then
    echo "create user mysql@localhost identified via unix_socket;"
    [[ -z ${MARIADB_MYSQL_LOCALHOST_GRANTS:-} ]] || echo "grant $MARIADB_MYSQL_LOCALHOST_GRANTS on *.* to mysql@localhost;"
  fi
  password=$(pwgen -1 32)
  for host in 127.0.0.1 ::1 localhost; do
    echo "create user if not exists healthcheck@'$host' identified by '$password'; grant ${MARIADB_HEALTHCHECK_GRANTS:-usage} on *.* to healthcheck@'$host';"
  done
  (umask 077 && printf '[mariadb-client]\nport=%s\nsocket=%s\nuser=healthcheck\npassword=%s\n' "$port" "$socket" "$password" >"$datadir/.my-healthcheck.cnf")
  echo "set @@session.sql_log_bin=1;"
  [[ -z $MARIADB_DATABASE ]] || echo "create database if not exists \`$MARIADB_DATABASE\`;"
  if [[ -n $MARIADB_USER && -n $MARIADB_PASSWORD$MARIADB_PASSWORD_HASH ]]; then
    if [[ -n $MARIADB_PASSWORD_HASH ]]; then
      echo "create user $(quoted "$MARIADB_USER")@'%' identified by password $(quoted "$MARIADB_PASSWORD_HASH");"
    else
      echo "create user $(quoted "$MARIADB_USER")@'%' identified by $(quoted "$MARIADB_PASSWORD");"
    fi
    [[ -z $MARIADB_DATABASE ]] || echo "grant all on \`${MARIADB_DATABASE//_/\\_}\`.* to $(quoted "$MARIADB_USER")@'%';"
  fi
}

# docker_process_init_files
run_init_files() {
  # shellcheck disable=SC2034
  mysql=(docker_process_sql)
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh)
        if [[ -x $file ]]; then
          note "running $file"; "$file"
        else
          note "sourcing $file"
          # shellcheck disable=SC1090
          . "$file"
        fi ;;
      *.sql) note "running $file"; docker_process_sql <"$file" ;;
      *.sql.gz) note "running $file"; gzip -dc "$file" | docker_process_sql ;;
      *.sql.xz) note "running $file"; xz -dc "$file" | docker_process_sql ;;
      *.sql.zst) note "running $file"; zstd -dc "$file" | docker_process_sql ;;
      *) note "ignoring $file" ;;
    esac
  done
}

# docker_mariadb_init, the branch DATABASE_INIT_FROM_BACKUP: a physical backup in the init folder is put in place.
restore_backup() {
  local file=$1
  mkdir -p "$datadir/.init"
  tar --auto-compress -xf "$file" -C "$datadir/.init"
  mariadb-backup --target-dir="$datadir/.init" --datadir="$datadir/.restore" --move-back
  mv "$datadir"/.restore/* "$datadir"/
  rm -rf "$datadir/.init" "$datadir/.restore"
}

# _mysql_want_help
asks_only() {
  local word
  for word; do
    case $word in '-?' | --help | --print-defaults | -V | --version) return 0 ;; esac
  done
  return 1
}

# _main
[[ ${1:0:1} != - ]] || set -- mariadbd "$@"
if [[ $1 == mariadbd || $1 == mysqld ]] && ! asks_only "$@"; then
  problem=$("$@" --verbose --help 2>&1 >/dev/null) || die "mariadbd failed while attempting to check config: $problem"
  datadir=$(setting datadir "${@:2}") socket=$(setting socket "${@:2}") port=$(setting port "${@:2}")
  datadir=${datadir%/}
  both_names ROOT_HOST %
  both_names DATABASE
  both_names USER
  both_names PASSWORD
  both_names ROOT_PASSWORD
  file_env MARIADB_PASSWORD_HASH
  file_env MARIADB_ROOT_PASSWORD_HASH
  : "${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:=${MYSQL_ALLOW_EMPTY_PASSWORD:-}}" "${MARIADB_RANDOM_ROOT_PASSWORD:=${MYSQL_RANDOM_ROOT_PASSWORD:-}}"
  : "${MARIADB_INITDB_SKIP_TZINFO:=${MYSQL_INITDB_SKIP_TZINFO:-}}"
  mkdir -p "$datadir"
  if [[ $(id -u) == 0 ]]; then
    find "$datadir" ! -user mysql -exec chown mysql: {} +
    find "${socket%/*}" -maxdepth 0 ! -user mysql -exec chown mysql: {} +
    note "Switching to dedicated user 'mysql'"
    exec gosu mysql "$0" "$@"
  fi
  if [[ ! -d $datadir/mysql ]]; then
    ls /docker-entrypoint-initdb.d/ >/dev/null
    backups=(/docker-entrypoint-initdb.d/*.tar{.gz,.xz,.zst})
    if ((${#backups[@]})); then
      restore_backup "${backups[0]}"
    else
      # docker_verify_minimum_env
      [[ -n $MARIADB_ROOT_PASSWORD$MARIADB_ROOT_PASSWORD_HASH$MARIADB_ALLOW_EMPTY_ROOT_PASSWORD$MARIADB_RANDOM_ROOT_PASSWORD ]] ||
        die 'Database is uninitialized and password option is not specified: one of MARIADB_ROOT_PASSWORD, MARIADB_ROOT_PASSWORD_HASH, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD and MARIADB_RANDOM_ROOT_PASSWORD'
      [[ -z $MARIADB_PASSWORD || -z $MARIADB_PASSWORD_HASH ]] || die 'Cannot specify MARIADB_PASSWORD_HASH and MARIADB_PASSWORD option.'
      if [[ -n $MARIADB_RANDOM_ROOT_PASSWORD ]]; then
        MARIADB_ROOT_PASSWORD=$(pwgen -1 32)
        export MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD=$MARIADB_ROOT_PASSWORD
        note "GENERATED ROOT PASSWORD: $MARIADB_ROOT_PASSWORD"
      fi
      note 'Initializing database files'
      mariadb-install-db --datadir="$datadir" --rpm --auth-root-authentication-method=normal --cross-bootstrap --skip-test-db \
        --default-time-zone=SYSTEM --skip-log-bin --loose-innodb_buffer_pool_load_at_startup=0 --loose-innodb_buffer_pool_dump_at_shutdown=0 "${@:2}" >/dev/null
      note 'Starting temporary server'
      server_start "${@:2}"
      [[ -n $MARIADB_INITDB_SKIP_TZINFO ]] || mariadb-tzinfo-to-sql --skip-write-binlog /usr/share/zoneinfo 2>/dev/null |
        MARIADB_DATABASE='' docker_process_sql --dont-use-mysql-root-password --database=mysql
      batch=$(first_sql)
      MARIADB_DATABASE='' docker_process_sql --dont-use-mysql-root-password --database=mysql --binary-mode <<<"$batch"
      unset batch
      run_init_files
      if [[ -n $MARIADB_ROOT_PASSWORD_HASH ]]; then
        docker_process_sql --dont-use-mysql-root-password --binary-mode <<<"set @@session.sql_log_bin=0; set password for root@localhost = $(quoted "$MARIADB_ROOT_PASSWORD_HASH");"
      fi
      note 'Stopping temporary server'
      server_stop
      note 'MariaDB init process done. Ready for start up.'
    fi
  fi
fi
exec "$@"
