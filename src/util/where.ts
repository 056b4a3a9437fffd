/**
 * Target of net.connect for a server: a host that begins with a slash is the directory of a Unix socket, as in libpq.
 */

export const isSocketDir = (host: string): boolean => host.startsWith('/');

export function connectTarget(host: string, port: number): { path: string } | { host: string; port: number } {
  return isSocketDir(host) ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
}
