/**
 * The part of the table of settings about where Weir listens, and its processes. Put together with the others in
 * settings-pools.ts.
 */
import type { Rows } from './setting.ts';
import type { Parsed, ValueType } from './values.ts';
import { setting } from './setting.ts';
import { workers } from './workers.ts';
import { boolean, fileMode, hostPort, list, oneOf, optional, size, string } from './values.ts';

/** As a header can carry it, and too long to be guessed. */
function token(): ValueType<string> {
  const allowed = 'a text of 16 to 200 letters, digits and . _ ~ + / = -';
  const parse = (raw: unknown): Parsed<string> =>
    typeof raw === 'string' && /^[\w.~+/=-]{16,200}$/.test(raw) ? { value: raw } : { refused: `is not ${allowed}` };
  return { name: 'string', allowed, parse, parseText: (text) => parse(text.trim()), format: () => '***' };
}

export const listeningRows = {
  listen: setting(
    'listen',
    hostPort(),
    { host: '127.0.0.1', port: 6432 },
    'new start',
    'Address and port on which clients connect.',
  ),
  listen_addresses: setting(
    'listenAddresses',
    optional(list('addresses')),
    undefined,
    'new start',
    'Addresses to listen on instead of that of listen, all with its port; []: none, only the Unix socket.',
  ),
  unix_socket_dir: setting(
    'unixSocketDir',
    optional(string('a directory')),
    undefined,
    'new start',
    'Directory of a Unix socket on which clients of this machine connect, too: .s.PGSQL.PORT.',
  ),
  unix_socket_mode: setting(
    'unixSocketMode',
    fileMode(),
    0o777,
    'new start',
    'Permissions of that socket: who may write may connect.',
  ),
  so_reuseport: setting(
    'soReuseport',
    boolean(),
    false,
    'new start',
    'Listen with SO_REUSEPORT, so that another Weir of this machine can listen on the same address and the kernel spreads new clients over both; needs Node 22.12 or 23.1. Not for http and unix_socket_dir.',
  ),
  pidfile: setting(
    'pidfile',
    optional(string('a file name')),
    undefined,
    'new start',
    'File with the process ID of Weir while it runs; `weir serve -d` needs it.',
  ),
  user: setting(
    'user',
    optional(string('the name of a user of this system')),
    undefined,
    'new start',
    'User of this system that Weir becomes when it is started as root, before it listens.',
  ),
  http: setting(
    'http',
    optional(hostPort()),
    { host: '127.0.0.1', port: 9432 },
    'new start',
    'Address and port of /metrics, /healthz and /readyz.',
  ),
  http_hosts: setting(
    'httpHosts',
    list('host names'),
    [],
    'reload',
    'Names by which browsers and Prometheus may ask the HTTP side, besides IP addresses and names that only exist inside a network.',
  ),
  http_page: setting(
    'httpPage',
    oneOf(['auto', 'full', 'figures', 'off']),
    'auto',
    'reload',
    'The page at / of the HTTP side: `full` names clients and shows texts of statements, `figures` does not, `off`: there is none. `auto`: `full` for who asks over a loopback address and no proxy, `figures` for others (docs/page.md).',
  ),
  http_invalidate_token: setting(
    'httpInvalidateToken',
    optional(token()),
    undefined,
    'reload',
    'With this token programs may POST /invalidate to the HTTP side (docs/tags.md); null: there is no such path.',
  ),
  workers: setting(
    'workers',
    workers(),
    1,
    'new start',
    'Processes that serve clients, as one Weir; `auto`: one for each core.',
  ),
  memory_limit: setting(
    'memoryLimitBytes',
    size(16 * 1024 ** 2, undefined, 'find out'),
    0,
    'reload',
    'Memory that Weir may have, all workers together; at 0.8 of it caches shrink and new clients wait, at 0.9 the clients that hold most are ended (docs/memory.md). 0: what its cgroup may have, else the machine.',
  ),
} as const satisfies Rows;
