#!/bin/bash
# Databases and users of one MariaDB server. Idempotent; works on a new data folder and on one that exists.
# DATABASES is "database=user ..."; the user's password is in /run/secrets/USER_db_password. A password may hold any bytes but NUL and
# line breaks: it goes as hexadecimal digits into the statement, where the server quotes it; never into argv.
set -euo pipefail

MYSQL_PWD=$(<"$ROOT_PASSWORD_FILE")
export MYSQL_PWD
client=(mariadb --host="$DB_HOST" --user=root --protocol=tcp --batch --skip-column-names)

hex() { od -An -v -tx1 <<<"$1" | tr -d ' \n' | sed 's/0a$//'; }

for entry in $DATABASES; do
  database=${entry%%=*} user=${entry#*=}
  file=/run/secrets/${user}_db_password
  [ -s "$file" ] || { echo "init: $file is missing or empty" >&2; exit 1; }
  password=$(<"$file")
  "${client[@]}" <<SQL
SET @password = CONVERT(X'$(hex "$password")' USING utf8mb4);
CREATE DATABASE IF NOT EXISTS \`$database\` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
EXECUTE IMMEDIATE CONCAT('CREATE USER IF NOT EXISTS \`$user\`@\`%\` IDENTIFIED BY ', QUOTE(@password));
EXECUTE IMMEDIATE CONCAT('ALTER USER \`$user\`@\`%\` IDENTIFIED BY ', QUOTE(@password));
GRANT ALL PRIVILEGES ON \`$database\`.* TO \`$user\`@\`%\`;
SQL
  # The proof: the user logs in with this password and sees its database.
  MYSQL_PWD=$password mariadb --host="$DB_HOST" --user="$user" --protocol=tcp --batch --skip-column-names "$database" -e 'SELECT 1' >/dev/null
  echo "init: user $user has database $database"
done
echo 'init: done'
