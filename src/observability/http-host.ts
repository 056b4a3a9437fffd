/**
 * Which Host headers the HTTP server accepts, as protection against DNS rebinding: a web page can point its own host
 * name at Weir's address and let a browser inside the network read from it, but such a name is not accepted here.
 * Called by http.ts.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Domains in which an outside attacker cannot own a name. */
const innerZones = ['.localhost', '.local', '.internal', '.lan', '.home.arpa', '.svc'];

/**
 * @param header the Host header, undefined if there is none
 * @param allowed names of http_hosts and of the address that is listened on
 */
export function isKnownHost(header: string | undefined, allowed: readonly string[]): boolean {
  if (header === undefined || header === '') return true;
  const host = header.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  if (isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0) return true;
  // A name without a dot belongs to this host, network or cluster.
  if (!host.includes('.') || innerZones.some((zone) => host.endsWith(zone))) return true;
  return host === hostname().toLowerCase() || allowed.some((name) => name.toLowerCase() === host);
}
