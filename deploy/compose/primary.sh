#!/bin/sh
# Run once by the image of PostgreSQL, when it has made the cluster: the application's role and database, and the role with which
# replicas copy and follow.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  --set app="$APP_PASSWORD" --set replicator="$REPLICATOR_PASSWORD" <<'SQL'
CREATE ROLE app LOGIN PASSWORD :'app';
-- Weir's monitor logs in as the user of the node's URL.
GRANT pg_monitor TO app;
CREATE DATABASE shop OWNER app;
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replicator';
SQL
echo 'host replication replicator all scram-sha-256' >> "$PGDATA/pg_hba.conf"
