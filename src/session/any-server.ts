/**
 * A server of any node that is up, the primary first unless its circuit lets nobody through: to find out what a server reports
 * to a client that logs in. Used by welcome.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import { WeirError } from '../errors/errors.ts';
import type { Pool } from '../pool/pool.ts';
import { isOnTrial } from '../routing/eligible.ts';
import { circuitRefusal } from '../routing/worth-waiting.ts';
import type { NodeState } from '../topology/types.ts';
import type { Database, Services } from './context.ts';

export interface FoundServer {
  readonly pool: Pool;
  readonly server: ServerConnection;
}

/** Undefined: none is idle. */
export function tryAny(database: Database, services: Services, user: string): FoundServer | undefined {
  const node = upNode(database, user, services.nowMs());
  return node === undefined ? undefined : checkedOut(database.pool(node, user));
}

/** @param signal ends the wait; a server that is granted in the same moment is still the caller's */
export async function checkoutAny(
  database: Database,
  services: Services,
  user: string,
  signal?: AbortSignal,
): Promise<FoundServer> {
  const sinceMs = services.nowMs();
  for (;;) {
    const find = (): NodeState | undefined => upNode(database, user, services.nowMs());
    const node = await anyNode(database, find, sinceMs, signal);
    const pool = database.pool(node, user);
    const found = checkedOut(pool);
    if (found !== undefined) return found;
    const why = refusalOf(database, node, user, services.nowMs());
    if (why !== undefined) throw new WeirError('no_node', { database: database.name, why });
    const server = await waitFor(pool, { node, user, sinceMs }, signal);
    if (server === undefined) continue;
    pool.uncountCheckout();
    return { pool, server };
  }
}

function checkedOut(pool: Pool): FoundServer | undefined {
  const server = pool.tryCheckout();
  if (server === undefined) return undefined;
  pool.uncountCheckout();
  return { pool, server };
}

/** Undefined: none is up. */
function upNode(database: Database, user: string, nowMs: number): NodeState | undefined {
  const { primary, nodes } = database.topology.snapshot();
  if (primary?.isUp !== true) return nodes.find((candidate) => candidate.isUp);
  if (refusalOf(database, primary, user, nowMs) === undefined) return primary;
  return nodes.find((candidate) => candidate.isUp && !isOnTrial(candidate)) ?? primary;
}

/** Why nobody may wait there; undefined: one may. */
function refusalOf(database: Database, node: NodeState, user: string, nowMs: number): string | undefined {
  return circuitRefusal(node, () => database.pool(node, user).stats().waiting, nowMs);
}

function anyNode(
  database: Database,
  find: () => NodeState | undefined,
  sinceMs: number,
  signal: AbortSignal | undefined,
): Promise<NodeState> {
  return new Promise((resolve, reject) => {
    let leave = (): void => undefined;
    const look = (): void => {
      const node = find();
      if (node !== undefined) return resolve(node);
      const deadlineMs = sinceMs + database.settings().queryWaitTimeoutMs;
      const { nodes } = database.topology.snapshot();
      const why = nodes.map((each) => `${each.name}: ${each.problem ?? 'not up'}`).join('; ');
      leave = database.park({
        deadlineMs,
        retry: look,
        expired: () => reject(new WeirError('no_node', { database: database.name, why })),
      });
    };
    look();
    onAbort(signal, (reason) => {
      leave();
      reject(reason);
    });
  });
}

/** Resolves to undefined if another node should be tried. */
function waitFor(
  pool: Pool,
  { node, user, sinceMs }: { readonly node: NodeState; readonly user: string; readonly sinceMs: number },
  signal: AbortSignal | undefined,
): Promise<ServerConnection | undefined> {
  return new Promise((resolve, reject) => {
    const entry = pool.wait(
      {
        user,
        priority: 'normal',
        mayGoElsewhere: node.role === 'replica',
        mayShare: () => false,
        granted: resolve,
        // A replica is used only if the primary cannot be, so its refusal is final.
        refused: (error, isElsewhere) =>
          isElsewhere && error.errorName !== 'server_refused' ? resolve(undefined) : reject(error),
      },
      sinceMs,
    );
    onAbort(signal, (reason) => {
      entry?.cancel();
      reject(reason);
    });
  });
}

function onAbort(signal: AbortSignal | undefined, listener: (reason: Error) => void): void {
  if (signal === undefined) return;
  const stop = (): void => listener(signal.reason as Error);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
}
