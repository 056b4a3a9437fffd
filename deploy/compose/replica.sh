#!/bin/sh
# The first time: copies the primary. Then, and each later time: follows it.
set -eu
# Not standby.signal: a replica that was promoted has none, and its data must stay.
if [ ! -e "$PGDATA/copied" ]; then
  until
    # What an interrupted copy has left.
    find "$PGDATA" -mindepth 1 -delete
    PGPASSWORD="$REPLICATOR_PASSWORD" pg_basebackup --host "${PRIMARY_HOST:-primary}" --port "${PRIMARY_PORT:-5432}" \
      --username replicator --pgdata "$PGDATA" --checkpoint fast --wal-method stream --write-recovery-conf
  do
    sleep 1
  done
  chmod 700 "$PGDATA"
  touch "$PGDATA/copied"
fi
exec postgres -c hot_standby_feedback=on "$@"
