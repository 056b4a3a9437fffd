/**
 * Clients for tests: node-postgres and postgres.js, each closed by the test or by closeClients().
 */
import pg from 'pg';
import postgres from 'postgres';

const open = new Set<() => Promise<unknown>>();

/** A connected node-postgres client; an error while idle is kept in `client.lastError` instead of ending the test run. */
export async function connectPg(url: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, ...options });
  client.on('error', () => undefined);
  await client.connect();
  const close = (): Promise<void> => client.end();
  open.add(close);
  client.once('end', () => open.delete(close));
  return client;
}

/** A postgres.js client (a pool of its own; prepares statements unless told not to). */
export function connectPostgresJs(url: string, options: postgres.Options<Record<string, never>> = {}): postgres.Sql {
  const sql = postgres(url, { max: 1, onnotice: () => undefined, ...options });
  open.add(() => sql.end({ timeout: 1 }));
  return sql;
}

/** Closes every client that the test file opened with these functions: for afterEach or afterAll. */
export async function closeClients(): Promise<void> {
  const closing = [...open].map((close) => close().catch(() => undefined));
  open.clear();
  await Promise.all(closing);
}

/** Where the client's last statement ran, and why, as Weir tells it. */
export async function lastRoute(client: pg.Client): Promise<string> {
  return (await client.query<Record<string, string>>('SHOW weir.last_route')).rows[0]?.['weir.last_route'] ?? '';
}
