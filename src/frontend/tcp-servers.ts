/**
 * The servers of the setting `listen`: one for each address of listen_addresses, all on the same port; none where clients come
 * through the Unix socket only. Made by listener.ts, and by the supervisor of a Weir with several processes.
 */
import type { Server } from 'node:net';
import type { HostPort } from '../config/config.ts';
import { backlog } from '../util/listen-options.ts';
import { listenTcp } from './listen-tcp.ts';

export interface TcpSettings {
  readonly listen: HostPort;
  /** Undefined: that of `listen`. */
  readonly addresses?: readonly string[] | undefined;
  /** Another process may listen there, too (so_reuseport). */
  readonly isShared?: boolean;
}

export class TcpServers {
  private readonly make: () => Server;
  private readonly servers: Server[] = [];

  constructor(make: () => Server) {
    this.make = make;
  }

  all(): readonly Server[] {
    return this.servers;
  }

  /** Rejects with an Error that tells the operator what to do; then some may listen. */
  async open(settings: TcpSettings, onError: (error: Error) => void): Promise<void> {
    const { listen, addresses = [listen.host], isShared = false } = settings;
    let { port } = listen;
    for (const host of new Set(addresses)) {
      const server = this.make();
      // By itself, :: is for IPv4, too, and could not listen beside 0.0.0.0.
      const isIpv6Only = host === '::' && addresses.includes('0.0.0.0');
      await listenTcp(server, { host, port, isShared, isIpv6Only }, 'listen', onError);
      this.servers.push(server);
      // If any free port will do, the others get the same one.
      port = this.address()?.port ?? port;
    }
  }

  /** Goes on listening on a socket that another process has opened. */
  take(fd: number, onError: (error: Error) => void): void {
    const server = this.make();
    server.on('error', onError);
    server.listen({ fd, backlog });
    this.servers.push(server);
  }

  /** Of the first one; undefined: it does not listen. */
  address(): HostPort | undefined {
    const found = this.servers[0]?.address() ?? null;
    return found === null || typeof found === 'string' ? undefined : { host: found.address, port: found.port };
  }

  close(): void {
    for (const server of this.servers.splice(0)) if (server.listening) server.close();
  }
}
