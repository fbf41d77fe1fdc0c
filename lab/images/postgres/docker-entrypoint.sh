#!/usr/bin/env bash
# Lab entrypoint of PostgreSQL. It behaves as the official image's does; what it imitates is cited by line:
# docker-library/postgres, 17/bookworm/docker-entrypoint.sh at 2925b19f45ceeb8ab8488eec226f2736abf297e1.
set -Eeo pipefail

die() { echo "error: $*" >&2; exit 1; }

# 9-25: VAR or the content of the file that VAR_FILE names; both at once is refused; the *_FILE name is not inherited.
file_env() {
  local name=$1 path_name=$1_FILE value=${2:-}
  local path=${!path_name:-}
  [[ -z ${!name:-} || -z $path ]] || die "both $name and $path_name are set (but are exclusive)"
  [[ -z $path ]] || value=$(<"$path")
  [[ -z ${!name:-} ]] || value=${!name}
  export "$name=$value"
  unset "$path_name"
}

# 206-213: runs SQL as the superuser over the socket; stops at the first error. Init scripts call it by this name.
docker_process_sql() {
  local database=()
  [[ -z $POSTGRES_DB ]] || database=(--dbname "$POSTGRES_DB")
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc "${database[@]}" "$@"
}

# 36-61: the data folder, and as root its owner.
folders() {
  mkdir -p "$PGDATA" /var/run/postgresql || :
  chmod 0700 "$PGDATA" 2>/dev/null || :
  chmod 3775 /var/run/postgresql 2>/dev/null || :
  local own=("$PGDATA" /var/run/postgresql)
  if [[ -n ${POSTGRES_INITDB_WALDIR:-} ]]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    chmod 0700 "$POSTGRES_INITDB_WALDIR"
    own+=("$POSTGRES_INITDB_WALDIR")
  fi
  [[ $(id -u) != 0 ]] || find "${own[@]}" ! -user postgres -exec chown postgres {} +
}

# 67-99: initdb as POSTGRES_USER, with the password by file; an unknown --user gets a name through nss_wrapper.
create_cluster() {
  local more=()
  [[ -z ${POSTGRES_INITDB_WALDIR:-} ]] || more=(--waldir "$POSTGRES_INITDB_WALDIR")
  local args=()
  eval "args=( $POSTGRES_INITDB_ARGS )"  # the official image lets the shell split and unquote them, too
  local wrapper='' passwd='' group=''
  if ! getent passwd "$(id -u)" >/dev/null; then
    wrapper=$(find /usr/lib -name libnss_wrapper.so -print -quit)
    passwd=$(mktemp) group=$(mktemp)
    echo "postgres:x:$(id -u):$(id -g):lab:$PGDATA:/bin/false" >"$passwd"
    echo "postgres:x:$(id -g):" >"$group"
  fi
  LD_PRELOAD=$wrapper NSS_WRAPPER_PASSWD=$passwd NSS_WRAPPER_GROUP=$group \
    initdb --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") "${more[@]}" "${args[@]}"
  [[ -z $passwd ]] || rm -f "$passwd" "$group"
}

# 263-281: over TCP every address needs the password (the socket stays on trust, initdb's default).
allow_hosts() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# 285-307: the temporary server listens on the socket only: pg_isready without -h is true while it runs, over TCP it is not.
server() {
  local verb=$1
  shift
  case $verb in
    start) NOTIFY_SOCKET='' PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -w \
      -o "$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")" start ;;
    stop) PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop ;;
  esac
}

# 217-230: POSTGRES_DB, unless initdb made it.
create_database() {
  local there
  there=$(POSTGRES_DB='' docker_process_sql --dbname postgres -tA -v name="$POSTGRES_DB" <<<"select 1 from pg_database where datname = :'name'")
  [[ -n $there ]] || POSTGRES_DB='' docker_process_sql --dbname postgres -v name="$POSTGRES_DB" <<<'create database :"name"'
}

# 172-199: in the shell's order; executable scripts run, others are sourced (and may use psql[@]); the first failure ends the
# start with the data folder left behind, so that the next start finds it and skips all this: the official image does so.
run_init_files() {
  # shellcheck disable=SC2034
  psql=(docker_process_sql)
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh)
        if [[ -x $file ]]; then
          echo "$0: running $file"; "$file"
        else
          echo "$0: sourcing $file"
          # shellcheck disable=SC1090
          . "$file"
        fi ;;
      *.sql) echo "$0: running $file"; docker_process_sql -f "$file" ;;
      *.sql.gz) echo "$0: running $file"; gzip -dc "$file" | docker_process_sql ;;
      *.sql.xz) echo "$0: running $file"; xz -dc "$file" | docker_process_sql ;;
      *.sql.zst) echo "$0: running $file"; zstd -dc "$file" | docker_process_sql ;;
      *) echo "$0: ignoring $file" ;;
    esac
  done
}

# 310-324: only asks for information, so nothing is set up.
asks_only() {
  local word
  for word; do
    case $word in '-?' | --help | --describe-config | -V | --version) return 0 ;; esac
  done
  return 1
}

# 326-381
[[ ${1:0:1} != - ]] || set -- postgres "$@"
if [[ $1 == postgres ]] && ! asks_only "$@"; then
  file_env POSTGRES_PASSWORD
  file_env POSTGRES_USER postgres
  file_env POSTGRES_DB "$POSTGRES_USER"
  file_env POSTGRES_INITDB_ARGS
  folders
  [[ $(id -u) != 0 ]] || exec gosu postgres "$0" "$@"
  if [[ -s $PGDATA/PG_VERSION ]]; then  # 246
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
  else
    # 105-138
    [[ -n $POSTGRES_PASSWORD || ${POSTGRES_HOST_AUTH_METHOD:-} == trust ]] ||
      die 'Database is uninitialized and superuser password is not specified: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE'
    [[ ${POSTGRES_HOST_AUTH_METHOD:-} != trust ]] || echo 'WARNING: POSTGRES_HOST_AUTH_METHOD is "trust": no password is asked' >&2
    ls /docker-entrypoint-initdb.d/ >/dev/null  # 347
    create_cluster
    allow_hosts "${@:2}"
    export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
    server start "${@:2}"
    create_database
    run_init_files
    server stop
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
  fi
fi
exec "$@"
