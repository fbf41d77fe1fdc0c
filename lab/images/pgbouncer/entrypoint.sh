#!/bin/bash
# Lab entrypoint of PgBouncer. Imitates edoburu/docker-pgbouncer, entrypoint.sh at
# 01fdef0d1505b399562dfcba1a05324526766bc0 (lines cited).
set -euo pipefail
folder=/etc/pgbouncer
ini=$folder/pgbouncer.ini
: "${DB_USER:=}" "${DB_PASSWORD:=}" "${DB_NAME:=}" "${DB_HOST:=}" "${DB_PORT:=}" "${AUTH_TYPE:=md5}"

# 11-39: DATABASE_URL is user:password@host:port/name after any scheme, and wins.
if [[ -n ${DATABASE_URL:-} ]]; then
  rest=${DATABASE_URL#*://}
  if [[ $rest == *@* ]]; then
    login=${rest%@*} rest=${rest##*@}
    DB_USER=${login%%:*}
    [[ $login != *:* ]] || DB_PASSWORD=${login#*:}
  fi
  address=${rest%%/*}
  [[ $rest != */* ]] || DB_NAME=${rest#*/}
  DB_HOST=${address%%:*}
  [[ $address != *:* ]] || DB_PORT=${address##*:}
fi

# 43-59: the login goes into the user list once: in the clear for plain and scram, else as md5.
users=${AUTH_FILE:-$folder/userlist.txt}
[[ -e $users ]] || touch "$users"
add_user() {
  local user=$1 password=$2 shown
  [[ -n $user && -n $password ]] || return 0
  ! grep -q "^\"$user\"" "$users" || return 0
  case $AUTH_TYPE in
    plain | scram-sha-256) shown=$password ;;
    *) shown=md5$(printf %s "$password$user" | md5sum | cut -d' ' -f1) ;;
  esac
  echo "\"$user\" \"$shown\"" >>"$folder/userlist.txt"
  echo "Wrote authentication credentials to $folder/userlist.txt"
}
add_user "$DB_USER" "$DB_PASSWORD"
# 61-95: lists of administrators and of statistics users, with as many passwords.
pairs() {
  local names passwords i
  IFS=, read -ra names <<<"$1"
  IFS=, read -ra passwords <<<"$2"
  [[ ${#names[@]} -eq ${#passwords[@]} ]] || return 0
  for i in "${!names[@]}"; do add_user "${names[i]}" "${passwords[i]}"; done
}
[[ -z ${ADMIN_PASSWORDS:-} ]] || pairs "${ADMIN_USERS:-postgres}" "$ADMIN_PASSWORDS"
[[ -z ${STATS_PASSWORDS:-} ]] || pairs "${STATS_USERS:-}" "$STATS_PASSWORDS"

# 107-232: a configuration that is there is kept; else each setting whose variable is set is written.
if [[ ! -f $ini ]]; then
  [[ -n $DB_HOST ]] || { echo 'Setup pgbouncer config error! You must set DB_HOST env' >&2; exit 1; }
  {
    echo '[databases]'
    echo "${DB_NAME:-*} = host=$DB_HOST port=${DB_PORT:-5432} auth_user=${DB_USER:-postgres}${CLIENT_ENCODING:+ client_encoding=$CLIENT_ENCODING}"
    echo
    echo '[pgbouncer]'
    echo "listen_addr = ${LISTEN_ADDR:-0.0.0.0}"
    echo "listen_port = ${LISTEN_PORT:-5432}"
    echo "unix_socket_dir = ${UNIX_SOCKET_DIR:-}"
    echo "auth_file = $users"
    echo "auth_type = $AUTH_TYPE"
    echo "admin_users = ${ADMIN_USERS:-postgres}"
    echo "ignore_startup_parameters = ${IGNORE_STARTUP_PARAMETERS:-extra_float_digits}"
    for setting in auth_hba_file auth_user auth_query pool_mode max_client_conn pool_size default_pool_size min_pool_size reserve_pool_size \
      reserve_pool_timeout max_db_connections max_user_connections server_round_robin disable_pqexec application_name_add_host timezone \
      max_prepared_statements log_connections log_disconnections log_pooler_errors log_stats stats_period verbose stats_users \
      server_reset_query server_reset_query_always server_check_delay server_check_query server_lifetime server_idle_timeout \
      server_connect_timeout server_login_retry client_login_timeout autodb_idle_timeout dns_max_ttl dns_nxdomain_ttl \
      client_tls_sslmode client_tls_key_file client_tls_cert_file client_tls_ca_file client_tls_protocols client_tls_ciphers \
      client_tls_ecdhcurve client_tls_dheparams server_tls_sslmode server_tls_ca_file server_tls_key_file server_tls_cert_file \
      server_tls_protocols server_tls_ciphers query_timeout query_wait_timeout client_idle_timeout idle_transaction_timeout pkt_buf \
      max_packet_size listen_backlog sbuf_loopcnt suspend_timeout tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle \
      tcp_keepintvl tcp_user_timeout; do
      variable=${setting^^}
      [[ -z ${!variable:-} ]] || echo "$setting = ${!variable}"
    done
  } >"$ini"
  cat "$ini"
  echo "Starting $*..."
fi
exec "$@"
