/** The words of the log of server connections, and that neither a client nor a server can forge a line of it. */
import { expect, it } from 'vitest';
import { PgbouncerServerLog } from '../../src/app/server-log.ts';
import { ServerLoginError, transportError } from '../../src/backend/login-error.ts';
import type { ServerLink } from '../../src/backend/login.ts';
import type { ServerConnection } from '../../src/backend/server.ts';
import type { NodeConfig } from '../../src/config/config.ts';
import { transportWords } from '../../src/observability/pgbouncer-lines.ts';

const nodeAt = (host: string): NodeConfig => ({ name: 'db1', host, port: 5432 }) as NodeConfig;
const own = { id: 26, database: 'shop', user: 'app', node: nodeAt('10.0.0.1') };
const linkFrom = (localAddress?: string, localPort?: number): ServerLink =>
  ({ socket: { localAddress, localPort } }) as unknown as ServerLink;
const connection = (isClosedByWeir: boolean): ServerConnection =>
  ({ connectedAtMs: 1_000, isClosedByWeir }) as unknown as ServerConnection;

function bench(): { readonly servers: PgbouncerServerLog; readonly lines: string[] } {
  const lines: string[] = [];
  const log = (level: string, _event: string, message: string): void => void lines.push(`${level} ${message}`);
  return { servers: new PgbouncerServerLog(log, () => 62_500), lines };
}

it('has each new connection, with where it comes from', () => {
  const { servers, lines } = bench();
  servers.opened(own, linkFrom('10.0.0.9', 40_001));
  servers.opened({ ...own, node: nodeAt('::1') }, linkFrom('::1', 2));
  servers.opened({ ...own, node: nodeAt('/run/postgresql') }, linkFrom());
  expect(lines).toEqual([
    'info S-0x00000000001a: shop/app@10.0.0.1:5432 new connection to server (from 10.0.0.9:40001)',
    'info S-0x00000000001a: shop/app@[::1]:5432 new connection to server (from [::1]:2)',
    'info S-0x00000000001a: shop/app@unix:5432 new connection to server (from unix)',
  ]);
});

it('has why one is closed, in the words of PgBouncer if it has any', () => {
  const { servers, lines } = bench();
  for (const why of [
    'server_lifetime',
    'server_idle_timeout',
    'RECONNECT',
    'server_fast_close',
    'the reset took too long',
  ])
    servers.closed(own, connection(true), why);
  servers.closed(own, connection(false), 'terminating connection\ndue to administrator command');
  expect(lines.map((line) => line.replace(/^.*closing because: /, ''))).toEqual([
    'server lifetime over (age=61s)',
    'server idle timeout (age=61s)',
    'database configuration changed (age=61s)',
    'database configuration changed (age=61s)',
    'the reset took too long (age=61s)',
    'server conn crashed? (terminating connection due to administrator command) (age=61s)',
  ]);
});

it('has why one could not be opened: what the server says, or how far it came', () => {
  const { servers, lines } = bench();
  const said = { sqlstate: '28P01', severity: 'FATAL', message: 'password authentication failed for user "app"' };
  servers.failed(own, new ServerLoginError(own.node, said), 62_000);
  servers.failed(own, transportError(own.node, 'timed out after 2000 ms'), 60_000);
  expect(lines.map((line) => line.replace('S-0x00000000001a: shop/app@10.0.0.1:5432 ', ''))).toEqual([
    'warn server login failed: FATAL password authentication failed for user "app"',
    'info closing because: login failed (age=0s)',
    'info closing because: connect timeout (age=2s)',
  ]);
});

it.each([
  ['cannot connect: getaddrinfo ENOTFOUND db.example', 'server DNS lookup failed'],
  ['cannot connect: getaddrinfo EAI_AGAIN db.example', 'server DNS lookup failed'],
  ['cannot connect: connect ECONNREFUSED 127.0.0.1:1', 'connect failed'],
  [
    'TLS with the server failed: self-signed certificate in certificate chain',
    'TLS handshake failed: certificate verify failed: self-signed certificate in certificate chain',
  ],
  ['timed out after 5000 ms', 'connect timeout'],
  ['log-in was cut short: the connection was closed', 'log-in was cut short: the connection was closed'],
])('%s: %s', (message, words) => {
  expect(transportWords(message)).toBe(words);
});

it('has a database of "*" in one line, whatever its name', () => {
  const { servers, lines } = bench();
  servers.autoDatabase('a\nb');
  expect(lines).toEqual(['info registered new auto-database: db=a b']);
});
