#!/bin/sh
docker compose ps | grep -v "Up (healthy)" | grep -v "Up"  # defect: DM0310
docker stats --no-stream | awk '$4 ~ /%/ {gsub(/%/, "", $4); if ($4 > 80) print $0}'  # defect: DM0810
docker exec postgres psql -U postgres -c "SELECT count(*), state FROM pg_stat_activity GROUP BY state;"  # defect: DM0311
