#!/bin/sh
# Lab entrypoint of memcached: docker-library/memcached, docker-entrypoint.sh at 236cad39, lines 5-9.
case ${1:-} in -*) exec memcached "$@" ;; esac
exec "$@"
