/**
 * The one connection on which a catalog watch asks, to whatever node is asked now: opened when it is needed, given back
 * when another watch waits for a place at that server (catalog-connections.ts). Asks nothing itself. Made by
 * schema-watch.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { CatalogConnections, ConnectionHolder } from './catalog-connections.ts';
import { ProbeError } from './probe.ts';
import type { ConnectProbe, ProbeConnection } from './samples.ts';

export interface CatalogLinkOptions {
  readonly connect: ConnectProbe;
  /** Is what `connect` has logged in as still good for it? Absent: always. */
  readonly isOffered?: (node: NodeConfig) => boolean;
  /** Who may have a connection to the node now; absent: everybody. */
  readonly catalogConnectionsAt?: (node: NodeConfig) => CatalogConnections;
}

export class CatalogLink implements ConnectionHolder {
  readonly #options: CatalogLinkOptions;
  /** A question is under way, or about to be asked. */
  readonly #isBusy: () => boolean;
  #abort = new AbortController();
  #open: { readonly node: NodeConfig; readonly connection: ProbeConnection } | undefined;
  #share: CatalogConnections | undefined;
  #crowd: CatalogConnections | undefined;

  constructor(options: CatalogLinkOptions, isBusy: () => boolean) {
    this.#options = options;
    this.#isBusy = isBusy;
  }

  start(): void {
    this.#abort = new AbortController();
  }

  /** Whoever is connecting gives up; a connection that is open is closed by `hangUp`. */
  stop(): void {
    this.#abort.abort();
  }

  /** Factor for the pause between two looks: many databases watch their catalogs at one server. */
  get crowding(): number {
    return this.#crowd?.crowding ?? 1;
  }

  /** Another watch waits for a place at the server. */
  get isAwaited(): boolean {
    return this.#share?.hasWaiters === true;
  }

  async to(node: NodeConfig): Promise<ProbeConnection> {
    if (this.#open?.node === node && this.#options.isOffered?.(node) !== false) return this.#open.connection;
    await this.hangUp();
    const connections = this.#options.catalogConnectionsAt?.(node);
    this.#joinCrowd(connections);
    const { signal } = this.#abort;
    if (connections !== undefined) {
      if (!(await connections.take(this, signal))) throw new ProbeError('stopped', false);
      this.#share = connections;
    }
    const connection = await this.#options.connect(
      node,
      () => {
        if (this.#open?.connection !== connection) return;
        this.#open = undefined;
        this.#giveBack();
      },
      signal,
    );
    this.#open = { node, connection };
    if (this.#abort.signal.aborted) await this.hangUp();
    return connection;
  }

  async hangUp(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.connection.close();
    this.#giveBack();
  }

  #giveBack(): void {
    const connections = this.#share;
    this.#share = undefined;
    connections?.giveBack(this);
  }

  /** Another watch waits for a connection. */
  isWanted(): boolean {
    // It is on its way out already, for somebody else.
    if (this.#isBusy() || this.#open === undefined) return false;
    void this.hangUp();
    return true;
  }

  /** Nobody is asked for some time. */
  leaveCrowd(): void {
    this.#joinCrowd(undefined);
  }

  #joinCrowd(crowd: CatalogConnections | undefined): void {
    if (this.#crowd === crowd) return;
    if (this.#crowd !== undefined) this.#crowd.users--;
    if (crowd !== undefined) crowd.users++;
    this.#crowd = crowd;
  }
}
