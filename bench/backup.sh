#!/usr/bin/env bash
# bench/backup.sh [MB]: a PostgreSQL database of about that many megabytes of dump (1000) saved by `datamancy backup run`, by
# `docker exec pg_dump | restic backup --stdin`, by `pg_dump -Fc` (gzip), and by borgmatic where the lab's image is there, in one run on
# the same server: wall time, CPU of the client side, peak memory of its largest process. Each into a fresh repository, then ROUNDS (3)
# times unchanged, in turns. Needs an engine with the lab's postgres image, restic, GNU time. DATAMANCY names the program.
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
  awk -v what="$what" -v size="$size" '{printf "%-52s %7.2f s  %6.0f MB/s  %6.2f s CPU  %7d kB\n", what, $1, size / 1e6 / $1, $2 + $3, $4}' "$work/time"
}
# Making a repository is not measured. Both get the same key, since restic sets the cost of deriving it by what the machine can do at
# that moment.
restic -r "$work/ours" init >/dev/null
cp -a "$work/ours" "$work/theirs"
for round in $(seq 0 "${ROUNDS:-3}"); do
  [ "$round" = 0 ] && what=first || what="unchanged $round"
  measure "datamancy backup run, $what" "$datamancy" backup run --quiet --no-forget -p "$name" --repository "$work/ours" --password-file "$work/key"
  measure "docker exec pg_dump | restic backup --stdin, $what" bash -o pipefail -c "docker exec -i $name pg_dump -U postgres -Fp postgres | restic -q -r $work/theirs backup --stdin --stdin-filename /db.sql"
done
measure "docker exec pg_dump -Fc" bash -c "docker exec -i $name pg_dump -U postgres -Fc postgres >$work/dump"
# A peer that streams too: borgmatic and Borg from Debian 13, in a container beside the server, over TCP on loopback.
if docker image inspect datamancy-lab/borgmatic:1.9 >/dev/null 2>&1; then
  mkdir "$work/borg" "$work/borgmatic.d"
  cat >"$work/borgmatic.d/config.yaml" <<YAML
repositories: [{path: /mnt/borg-repository/r, label: local}]
source_directories: [/etc/borgmatic.d]
postgresql_databases: [{name: postgres, hostname: 127.0.0.1, username: postgres, format: plain}]
encryption_passphrase: bench
YAML
  inside=$name-borgmatic
  docker run -d --name "$inside" --label "datamancy.test=$label" --network "container:$name" -v "$work/borg:/mnt/borg-repository" -v "$work/borgmatic.d:/etc/borgmatic.d:ro" datamancy-lab/borgmatic:1.9 sleep infinity >/dev/null
  trap 'docker rm -fv "$inside" "$name" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
  docker exec "$inside" borgmatic -c /etc/borgmatic.d/config.yaml init -e repokey-blake2 >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
  for what in first unchanged; do
    docker exec -i "$inside" python3 - "$size" "$what" <<'PY'
import resource, subprocess, sys, time
begin = time.monotonic()
done = subprocess.run(["borgmatic", "-c", "/etc/borgmatic.d/config.yaml", "create"], capture_output=True, text=True)
wall, used = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
if done.returncode:
    sys.exit(done.stdout + done.stderr)
size = int(sys.argv[1])
print(f"{'borgmatic 1.9, pg_dump inside it, ' + sys.argv[2]:52} {wall:7.2f} s  {size / 1e6 / wall:6.0f} MB/s  {used.ru_utime + used.ru_stime:6.2f} s CPU  {used.ru_maxrss:7d} kB")
PY
  done
fi
docker exec "$name" pg_dump -U postgres -Fp --encoding=UTF8 postgres >"$work/db.sql"
measure "fingerprint alone (backup inspect of the dump)" "$datamancy" backup inspect "$work/db.sql"
