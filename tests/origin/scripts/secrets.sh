#!/bin/sh
sops --encrypt --age "$RECIPIENT" .env > .env.enc
sops --decrypt .env.enc > .env  # defect: DM0521
sops --decrypt .env > .env  # defect: DM0520
