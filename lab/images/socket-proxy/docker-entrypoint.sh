#!/bin/sh
# As Tecnativa/docker-socket-proxy does (haproxy.cfg at 05ee763d): every method but GET wants POST=1; starting, stopping and restarting a container have
# a variable of their own; then each path of the API wants the variable of its name; the rest is refused.
set -eu
on() { eval "case \${$1:-$2} in 1|true|yes|on) return 0 ;; *) return 1 ;; esac"; }
at='^(/v[0-9.]+)?(/[a-z]+)?'
{
  printf 'global\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 10s\n  timeout client 10m\n  timeout server 10m\n'
  printf 'frontend api\n  bind :::2375 v4v6\n'
  on POST 0 || echo '  http-request deny unless METH_GET'
  ! on ALLOW_RESTARTS 0 || echo "  http-request allow if { path,url_dec -m reg -i $at/containers/[a-zA-Z0-9_.-]+/(stop|restart|kill) }"
  ! on ALLOW_START 0 || echo "  http-request allow if { path,url_dec -m reg -i $at/containers/[a-zA-Z0-9_.-]+/start }"
  ! on ALLOW_STOP 0 || echo "  http-request allow if { path,url_dec -m reg -i $at/containers/[a-zA-Z0-9_.-]+/stop }"
  for name in AUTH BUILD COMMIT CONFIGS CONTAINERS DISTRIBUTION EVENTS:1 EXEC IMAGES INFO NETWORKS NODES PING:1 PLUGINS SECRETS SERVICES SESSION SWARM SYSTEM TASKS VERSION:1 VOLUMES; do
    variable=${name%:1}
    case $name in *:1) default=1 ;; *) default=0 ;; esac
    path=$(printf %s "$variable" | tr 'A-Z' 'a-z')
    [ "$variable" != PING ] || path=_ping
    ! on "$variable" "$default" || echo "  http-request allow if { path,url_dec -m reg -i $at/$path }"
  done
  printf '  http-request deny\n  default_backend engine\n  use_backend events if { path,url_dec -m reg -i %s/events }\n' "$at"
  printf 'backend engine\n  server socket unix@%s\nbackend events\n  timeout server 0\n  server socket unix@%s\n' "${SOCKET_PATH:-/var/run/docker.sock}" "${SOCKET_PATH:-/var/run/docker.sock}"
} >/tmp/haproxy.cfg
exec "$@"
