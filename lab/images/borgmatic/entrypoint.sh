#!/usr/bin/env bash
# Lab entrypoint of borgmatic. Imitates borgmatic-collective/docker-borgmatic, root/etc/s6-overlay/s6-rc.d/svc-cron/run at
# 13b0e605cef9cb5b77ea9185401bed8ad0f58b0a (lines cited).
set -euo pipefail
[[ $# -eq 0 ]] || exec "$@"

# 43-72: BORG_x_FILE gives BORG_x.
for name in $(compgen -e BORG_ || :); do
  [[ $name == *_FILE ]] || continue
  if [[ -s ${!name} ]]; then export "${name%_FILE}=$(<"${!name}")"; else echo "Error: File ${!name} does not exist or is empty."; fi
  unset "$name"
done

# Debian's cron gives its jobs no environment: they take it from a file that only root reads.
umask 077
env -0 >/run/environment
cat >/usr/local/bin/job <<'JOB'
#!/usr/bin/env bash
while IFS= read -r -d '' pair; do export "${pair?}"; done </run/environment
exec sh -c "$1" >/proc/1/fd/1 2>&1
JOB
chmod 0755 /usr/local/bin/job

# 82-101: CRON off, CRON with CRON_COMMAND, else crontab.txt; EXTRA_CRON is added.
line() { printf '%s /usr/local/bin/job %q\n' "$1" "$2"; }
{
  echo 'SHELL=/bin/bash'
  if [[ ${CRON:-} =~ ^(false|disabled|off)$ ]]; then
    echo '# Cron disabled'
  elif [[ -v CRON ]]; then
    line "${CRON:-0 1 * * *}" "${CRON_COMMAND:-borgmatic --stats -v 0 2>&1}"
  elif [[ -f /etc/borgmatic.d/crontab.txt ]]; then
    while read -r m h d mo w command; do
      [[ -z $m || $m == \#* ]] || line "$m $h $d $mo $w" "$command"
    done </etc/borgmatic.d/crontab.txt
  fi
  [[ -z ${EXTRA_CRON:-} ]] || echo "$EXTRA_CRON"
} | crontab -
crontab -l
exec cron -f
