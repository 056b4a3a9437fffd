/**
 * How many of the connections that a server offers Weir may open. Used by sizing and by the scale signals.
 */

/**
 * @param connectionLimit what the server offers to ordinary roles
 * @returns without a tenth (at least two) of them, for probes, other programs and other proxies
 */
export function spareConnections(connectionLimit: number): number {
  return Math.max(1, connectionLimit - Math.max(2, Math.ceil(connectionLimit / 10)));
}
