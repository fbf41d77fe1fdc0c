#!/bin/sh
# Exports what LiteLLM takes from variables only, and becomes the image's own start script.
set -eu
LITELLM_MASTER_KEY=$(cat /run/secrets/litellm_master_key)
LITELLM_SALT_KEY=$(cat /run/secrets/litellm_salt_key)
UI_PASSWORD=$(cat /run/secrets/litellm_ui_password)
DATABASE_URL=$(cat /run/secrets/litellm_database_url)
export LITELLM_MASTER_KEY LITELLM_SALT_KEY UI_PASSWORD DATABASE_URL
exec docker/prod_entrypoint.sh "$@"
