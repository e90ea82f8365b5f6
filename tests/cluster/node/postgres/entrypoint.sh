#!/bin/sh
# Starts PostgreSQL as the official image does: POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE,
# PGDATA. Only PGDATA and /var/run/postgresql are written, so the root filesystem may be read-only.
set -eu
export PATH="$(echo /usr/lib/postgresql/*/bin):$PATH"
: "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
umask 077
mkdir -p "$PGDATA"

# postmaster.opts is written by a server that ran: without it, what lies here is an initialisation that was cut off
if [ ! -f "$PGDATA/postmaster.opts" ]; then
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"; fi
  : "${POSTGRES_PASSWORD:?is not set, and neither is POSTGRES_PASSWORD_FILE}"
  find "$PGDATA" -mindepth 1 -delete
  password="/var/run/postgresql/.password"
  printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
  initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile="$password" --encoding=UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256
  rm "$password"
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  if [ "$POSTGRES_DB" != postgres ]; then
    printf 'CREATE DATABASE "%s"\n' "$POSTGRES_DB" | postgres --single -D "$PGDATA" -j postgres >/dev/null
  fi
fi
chmod 0700 "$PGDATA" 2>/dev/null || true
unset POSTGRES_PASSWORD
[ $# -gt 0 ] && [ "$1" = postgres ] && shift
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql "$@"
