/**
 * All servers that are probed, whichever databases they serve: one ServerMonitor and one limit on catalog connections
 * per server. One object per process, shared by the topologies of all databases.
 */
import type { NodeConfig, TlsSide } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import { CatalogConnections } from './catalog-connections.ts';
import type { MemberOptions, Monitors } from './member.ts';
import { ServerMonitor, type ServerMember } from './server-monitor.ts';
import { serverKey } from '../util/server-key.ts';

export class ServerMonitors implements Monitors {
  readonly #byKey = new Map<string, ServerMonitor>();
  readonly #connections = new Map<string, CatalogConnections>();

  join(options: MemberOptions, tls: TlsSide, connectTimeoutMs: number, clock: Clock): ServerMember {
    const key = JSON.stringify([serverKey(options.node), options.node.tlsName, tls]);
    let monitor = this.#byKey.get(key);
    if (monitor === undefined)
      this.#byKey.set(key, (monitor = new ServerMonitor(options.node, clock, connectTimeoutMs)));
    const joined = monitor;
    const member = joined.join(options);
    const leave = member.leave.bind(member);
    member.leave = async () => {
      const left = leave();
      if (joined.isUnused && this.#byKey.get(key) === joined) this.#byKey.delete(key);
      await left;
    };
    return member;
  }

  catalogConnectionsAt(node: NodeConfig): CatalogConnections {
    const key = serverKey(node);
    let connections = this.#connections.get(key);
    if (connections === undefined) this.#connections.set(key, (connections = new CatalogConnections()));
    return connections;
  }
}
