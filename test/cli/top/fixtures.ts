/** What Weir says in the tests of `weir top`. */
import { frameOf, type Frame, type Look, type Row, type Tables } from '../../../src/cli/top/frame.ts';

export const client = (id: number, user = 'app', more: Row = {}): Row => ({
  ...{ id, user, database: 'shop', state: 'active', session_state: 'idle', wait: 0, wait_us: 0, node: 'db1' },
  ...{ addr: '10.0.0.1', port: 40_000 + id, application_name: `job${id}`, pins: '', ...more },
});

export const stats = (queries: number, more: Row = {}): Row => ({
  ...{ database: 'shop', total_query_count: queries, total_xact_count: queries / 2, total_query_time: queries * 1_500 },
  ...{ total_xact_time: 0, avg_query_count: 7, avg_xact_count: 3, avg_query_time: 2_000, to_replica: 0, ...more },
});

export const pool = (node: string, more: Row = {}): Row => ({
  ...{ database: 'shop', user: 'app', node, cl_active: 3, cl_waiting: 0, sv_active: 2, sv_idle: 1, sv_login: 0 },
  ...{ sv_tested: 0, limit: 20, max: 100, min: 0, maxwait: 0, maxwait_us: 0, pool_mode: 'transaction', ...more },
});

export const tables: Tables = {
  'SHOW POOLS': [pool('db1'), pool('db2', { cl_waiting: 4, maxwait: 1, maxwait_us: 250_000 })],
  'SHOW STATS': [stats(100)],
  'SHOW DATABASES': [{ name: 'shop', current_client_connections: 7 }],
  'SHOW WORKERS': [{ worker: 1, pid: 10, cpu_seconds: 1 }],
  'SHOW CLIENTS': [client(2), client(10, 'batch'), client(1)],
};

const startMs = Date.UTC(2026, 2, 1, 12);

/** Two seconds after the one before, on the same connection. */
export const frame = (more: Tables = {}, before?: Frame, look: Partial<Look> = {}): Frame => {
  const atMs = before === undefined ? startMs : before.atMs + 2_000;
  return frameOf({ tables: { ...tables, ...more }, refusals: {}, atMs, connection: 1, ...look }, before);
};
