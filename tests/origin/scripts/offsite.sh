#!/bin/sh
docker exec kopia kopia repository create s3 --bucket=backups --access-key="$AWS_ACCESS_KEY" --secret-key="$AWS_SECRET_KEY"  # defect: DM0410
docker exec kopia kopia policy set --global --snapshot-interval 6h --retention-policy 30d:1/d,180d:1/w,730d:1/m  # defect: DM0410
rsync -avz --delete /srv/backups/ backup-server:/mnt/backups/datamancy/  # defect: DM0411
