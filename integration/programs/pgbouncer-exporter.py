# Prints once what the exporter of Debian (prometheus-pgbouncer-exporter) reads of a console on database pgbouncer. Its STATS
# and DATABASES collectors read columns that PgBouncer has not had since 1.8 and 1.24, so they are left out.
import sys

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_pgbouncer_exporter.collectors import ListsCollector, PoolsCollector
from prometheus_pgbouncer_exporter.utils import get_connection

connection = get_connection(user=sys.argv[3], port=sys.argv[2], host=sys.argv[1])
registry = CollectorRegistry(auto_describe=False)
registry.register(PoolsCollector(connection=connection, databases=None))
registry.register(ListsCollector(connection=connection))
sys.stdout.write(generate_latest(registry).decode())
