/**
 * Which columns of the SHOW commands tell most: a terminal that is too narrow for all of them has the first ones that fit. Used by
 * verbs.ts. A command without a list here prints a block for each row.
 */
export const telling: Readonly<Record<string, readonly string[]>> = {
  POOLS: [
    ...['database', 'user', 'node', 'cl_active', 'cl_waiting', 'sv_active', 'limit', 'maxwait', 'sv_idle', 'max'],
    ...['pinned', 'connect_problem', 'avg_wait_us', 'paused', 'overloaded', 'min', 'pool_mode', 'last_resize'],
  ],
  NODES: [
    ...['database', 'node', 'role', 'state', 'lag_ms', 'connections', 'problem', 'outstanding', 'connection_limit'],
    ...['circuit', 'circuit_reason', 'host', 'port', 'lag_bytes', 'slowdown', 'server_version', 'zone', 'weight'],
  ],
  CLIENTS: [
    ...['id', 'database', 'user', 'session_state', 'wait', 'pins', 'addr', 'application_name', 'node'],
    ...['request_time', 'connect_time', 'last_route', 'port', 'tls', 'prepared_statements'],
  ],
  SERVERS: [
    ...['id', 'database', 'user', 'node', 'state', 'link', 'remote_pid', 'application_name', 'request_time'],
    ...['connect_time', 'addr', 'port', 'tls', 'server_version'],
  ],
  DATABASES: [
    ...['name', 'current_client_connections', 'current_connections', 'paused', 'problem', 'host', 'port', 'replicas'],
    ...['pool_size', 'max_pool_size', 'pool_mode', 'max_client_connections', 'load_balance_hosts', 'database'],
  ],
  STATS: [
    ...['database', 'avg_query_count', 'avg_query_time', 'avg_wait_time', 'errors', 'query_time_p50', 'query_time_p99'],
    ...['to_primary', 'to_replica', 'from_cache', 'avg_xact_count', 'avg_xact_time', 'total_query_count'],
  ],
  STATEMENTS: [
    'database',
    'calls',
    'total_time',
    'mean_time',
    'total_ms',
    'mean_ms',
    'p95_ms',
    'rows',
    'errors',
    'query',
  ],
  WORKERS: [
    ...['worker', 'pid', 'state', 'clients', 'servers', 'cpu_seconds', 'memory_bytes', 'deaths', 'restarts'],
    ...['event_loop_p99_ms', 'started_at', 'version'],
  ],
  LIMITS: ['limit', 'kind', 'whom', 'rate', 'tokens', 'refused', 'problem', 'buckets', 'burst', 'since'],
  FORECAST: ['database', 'user', 'node', 'now', 'predicted', 'confidence', 'why', 'at', 'warmed'],
  BUDGETS: ['database', 'budget', 'value', 'state', 'burn_5m', 'burn_1h', 'why', 'actions', 'objective'],
  DECODING: ['database', 'state', 'lag_ms', 'tables', 'problem'],
  CONFIG: ['key', 'value', 'default', 'changeable'],
};
