/**
 * Which names the HTTP side answers to. A page from anywhere may make a browser inside the network ask for its own host name,
 * which it has let point here (DNS rebinding); such a name is none of these. Pure. Called by http.ts.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Zones in which nobody outside can have a name. */
const innerZones = ['.localhost', '.local', '.internal', '.lan', '.home.arpa', '.svc'];

/**
 * @param header the Host header, undefined if there is none
 * @param allowed names of http_hosts and of the address that is listened on
 */
export function isKnownHost(header: string | undefined, allowed: readonly string[]): boolean {
  if (header === undefined || header === '') return true;
  const host = header.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  if (isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0) return true;
  // A name without a dot is of this machine, this network or this cluster.
  if (!host.includes('.') || innerZones.some((zone) => host.endsWith(zone))) return true;
  return host === hostname().toLowerCase() || allowed.some((name) => name.toLowerCase() === host);
}
