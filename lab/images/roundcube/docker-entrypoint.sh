#!/usr/bin/env bash
# Lab entrypoint of Roundcube. Imitates roundcube/roundcubemail-docker, apache/docker-entrypoint.sh at
# 011e619942fba6c24be1d2eae88c634c4bdb0d39 (lines cited).
set -euo pipefail

if [[ $1 == apache2* ]]; then
  # 16-21: login of the database from these two secrets, if they are there.
  [[ ! -f /run/secrets/roundcube_db_user ]] || ROUNDCUBEMAIL_DB_USER=$(</run/secrets/roundcube_db_user)
  [[ ! -f /run/secrets/roundcube_db_password ]] || ROUNDCUBEMAIL_DB_PASSWORD=$(</run/secrets/roundcube_db_password)
  # 23-58: type, host, port; waits up to 30 s for it. SQLite in /var/roundcube/db otherwise.
  type=${ROUNDCUBEMAIL_DB_TYPE:-sqlite} user=${ROUNDCUBEMAIL_DB_USER:-root} password=${ROUNDCUBEMAIL_DB_PASSWORD:-} name=${ROUNDCUBEMAIL_DB_NAME:-roundcubemail}
  case $type in
    pgsql) host=${ROUNDCUBEMAIL_DB_HOST:-postgres} port=${ROUNDCUBEMAIL_DB_PORT:-5432} sql=postgres ;;
    mysql) host=${ROUNDCUBEMAIL_DB_HOST:-mysql} port=${ROUNDCUBEMAIL_DB_PORT:-3306} sql=mysql ;;
    sqlite) host='' port='' sql=sqlite ;;
    *) echo "unknown ROUNDCUBEMAIL_DB_TYPE '$type'" >&2; exit 1 ;;
  esac
  encoded() { printf %s "$1" | php -r 'echo rawurlencode(stream_get_contents(STDIN));'; }
  if [[ $type == sqlite ]]; then
    dsn="sqlite:////var/roundcube/db/sqlite.db?mode=0646"
  else
    dsn="$type://$(encoded "$user"):$(encoded "$password")@$host:$port/$name"
    for _ in {1..60}; do
      ! (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null || break
      sleep 0.5
    done
  fi
  : "${ROUNDCUBEMAIL_DSNW:=$dsn}"
  # 60-66
  : "${ROUNDCUBEMAIL_DEFAULT_HOST:=localhost}" "${ROUNDCUBEMAIL_DEFAULT_PORT:=143}" "${ROUNDCUBEMAIL_SMTP_SERVER:=localhost}"
  : "${ROUNDCUBEMAIL_SMTP_PORT:=587}" "${ROUNDCUBEMAIL_PLUGINS:=archive,zipdownload}" "${ROUNDCUBEMAIL_SKIN:=elastic}"
  : "${ROUNDCUBEMAIL_TEMP_DIR:=/tmp/roundcube-temp}"
  if [[ -f /run/secrets/roundcube_des_key ]]; then key=$(</run/secrets/roundcube_des_key); else key=$(head -c 18 /dev/urandom | base64); fi
  # 68-92: configuration by variables, then the administrator's own files.
  umask 027
  export ROUNDCUBEMAIL_DSNW ROUNDCUBEMAIL_DEFAULT_HOST ROUNDCUBEMAIL_DEFAULT_PORT ROUNDCUBEMAIL_SMTP_SERVER ROUNDCUBEMAIL_SMTP_PORT
  export ROUNDCUBEMAIL_PLUGINS ROUNDCUBEMAIL_SKIN ROUNDCUBEMAIL_TEMP_DIR key
  php -r '
    function word($name) { return var_export(getenv($name), true); }
    echo "<?php\n\$config = [];\n";
    echo "\$config[\"db_dsnw\"] = " . word("ROUNDCUBEMAIL_DSNW") . ";\n";
    $imap = getenv("ROUNDCUBEMAIL_DEFAULT_HOST"); $smtp = getenv("ROUNDCUBEMAIL_SMTP_SERVER");
    echo "\$config[\"imap_host\"] = " . var_export($imap . ":" . getenv("ROUNDCUBEMAIL_DEFAULT_PORT"), true) . ";\n";
    echo "\$config[\"smtp_host\"] = " . var_export($smtp . ":" . getenv("ROUNDCUBEMAIL_SMTP_PORT"), true) . ";\n";
    echo "\$config[\"des_key\"] = " . word("key") . ";\n\$config[\"temp_dir\"] = " . word("ROUNDCUBEMAIL_TEMP_DIR") . ";\n";
    echo "\$config[\"plugins\"] = " . var_export(preg_split("/[, ]+/", getenv("ROUNDCUBEMAIL_PLUGINS")), true) . ";\n";
    echo "\$config[\"skin\"] = " . word("ROUNDCUBEMAIL_SKIN") . ";\n\$config[\"log_driver\"] = \"stdout\";\n\$config[\"zipdownload_selection\"] = true;\n";
    // Certificates inside a private network are the stack'"'"'s own.
    echo "\$config[\"imap_conn_options\"] = \$config[\"smtp_conn_options\"] = [\"ssl\" => [\"verify_peer\" => false, \"verify_peer_name\" => false]];\n";
    foreach (glob("/var/roundcube/config/*.php") as $file) echo "include(" . var_export($file, true) . ");\n";
  ' >/etc/roundcube/config.inc.php
  unset key
  chgrp www-data /etc/roundcube/config.inc.php
  mkdir -p "$ROUNDCUBEMAIL_TEMP_DIR" && chown www-data "$ROUNDCUBEMAIL_TEMP_DIR"
  # 94-95: tables where there are none, else an update; a failure is said and does not end the start.
  php /usr/local/bin/roundcube-tables "$sql" || echo "Failed to initialize database: the page will say more" >&2
  [[ $type != sqlite ]] || chown -R www-data: /var/roundcube/db
fi
exec "$@"
