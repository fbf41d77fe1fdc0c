#!/bin/sh
# Lab entrypoint of Valkey. Imitates valkey-io/valkey-container, docker-entrypoint.sh at
# 2a80026d51102f32b36b249542027cb11223a7f1 (lines cited).
set -eu

# 4-8: options or a configuration file alone mean the server.
case ${1:-} in
  -* | *.conf) set -- valkey-server "$@" ;;
esac

if [ "$1" = valkey-server ]; then
  if [ "$(id -u)" = 0 ]; then
    # 12-15: as root: own the working folder, then go on as valkey.
    find . ! -user valkey -exec chown valkey {} +
    exec setpriv --reuid=valkey --regid=valkey --clear-groups -- "$0" "$@"
  fi
  # 17-21
  [ -w . ] || { echo "error: $(pwd) is not writable by user $(id -u): check the mount" >&2; exit 1; }
  # The image is compiled without protected mode (8.1/debian/Dockerfile 33-38); Debian's server is not.
  case " $* " in
    *protected-mode*) ;;
    *.conf\ *) grep -qs '^ *protected-mode' "$2" || set -- "$@" --protected-mode no ;;
    *) set -- "$@" --protected-mode no ;;
  esac
fi

# 27-30: dumps are nobody else's business.
[ "$(umask)" != 0022 ] || umask 0077

# 32: extra flags by variable, split by the shell.
# shellcheck disable=SC2086
exec "$@" ${VALKEY_EXTRA_FLAGS:-}
