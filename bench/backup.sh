#!/usr/bin/env bash
# bench/backup.sh [MB]: a PostgreSQL database of that many megabytes of dump (1000) saved by `datamancy backup run`, by
# `docker exec pg_dump | restic backup --stdin`, and by `pg_dump -Fc` (gzip), in one run on the same server: wall time, CPU of the
# client side, peak memory. Each into a fresh repository, then a second time unchanged. Needs an engine with the lab's postgres
# image, restic, GNU time. DATAMANCY names the program.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
mb=${1:-1000}
datamancy=${DATAMANCY:-$here/build/datamancy}
label=${DATAMANCY_TEST_LABEL:-bench}
work=$(mktemp -d)
name=dmbench-backup-$$
trap 'docker rm -fv "$name" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
export DATAMANCY_STATE=$work/state RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$work/cache
echo bench >"$work/key"

docker run -d --name "$name" --label "datamancy.test=$label" --label com.docker.compose.project="$name" --label com.docker.compose.service=db \
  --label com.docker.compose.oneoff=False -e POSTGRES_HOST_AUTH_METHOD=trust -e POSTGRES_INITDB_ARGS=--no-sync --shm-size 256m datamancy-lab/postgres:17 postgres -c fsync=off -c max_wal_size=8GB >/dev/null
for _ in $(seq 600); do docker exec "$name" pg_isready -q -h 127.0.0.1 2>/dev/null && break; sleep 0.5; done
# Half of it text that compresses, a third random bytes, the rest rows with JSON: about 1 MB of dump for each 1,000 rows of the first.
docker exec -i "$name" psql -qX -U postgres <<SQL
create table texts as select i as id, repeat(md5((i / 7)::text), 16) as body from generate_series(1, $mb * 1000) i;
create table blobs as select i as id, decode(string_agg(md5((i * 100 + k)::text), ''), 'hex') as body from generate_series(1, $mb * 10) i, generate_series(1, 500) k group by i;
create table orders as select i as id, now() - i * interval '1 s' as at, jsonb_build_object('i', i, 'note', md5(i::text)) as j from generate_series(1, $mb * 1700) i;
vacuum analyze;
SQL
size=$(docker exec "$name" pg_dump -U postgres -Fp --encoding=UTF8 postgres | wc -c)
printf 'dump: %s MB\n' $((size / 1000000))

measure() { # NAME COMMAND...: wall, user + system of the client side, peak kB of its largest process
  local what=$1
  shift
  /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" >"$work/out" 2>&1 || { echo "$what failed:"; cat "$work/out"; exit 1; }
  awk -v what="$what" -v size="$size" '{printf "%-52s %7.1f s  %6.0f MB/s  %6.1f s CPU  %7d kB\n", what, $1, size / 1e6 / $1, $2 + $3, $4}' "$work/time"
}
restic -r "$work/ours" init >/dev/null  # as for the other: making a repository is not measured
restic -r "$work/theirs" init >/dev/null
measure "datamancy backup run, first" "$datamancy" backup run --quiet -p "$name" --repository "$work/ours" --password-file "$work/key"
measure "datamancy backup run, unchanged" "$datamancy" backup run --quiet -p "$name" --repository "$work/ours" --password-file "$work/key"
measure "docker exec pg_dump | restic backup --stdin, first" bash -o pipefail -c "docker exec -i $name pg_dump -U postgres -Fp postgres | restic -q -r $work/theirs backup --stdin --stdin-filename /db.sql"
measure "docker exec pg_dump | restic backup --stdin, unchanged" bash -o pipefail -c "docker exec -i $name pg_dump -U postgres -Fp postgres | restic -q -r $work/theirs backup --stdin --stdin-filename /db.sql"
measure "docker exec pg_dump -Fc" bash -c "docker exec -i $name pg_dump -U postgres -Fc postgres >$work/dump"
docker exec "$name" pg_dump -U postgres -Fp --encoding=UTF8 postgres >"$work/db.sql"
measure "fingerprint alone (backup inspect of the dump)" "$datamancy" backup inspect "$work/db.sql"
