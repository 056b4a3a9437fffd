/**
 * The single connection of a catalog watch, to the node that it currently reads from. Opened on demand, closed when
 * another watch waits for a connection to that server (catalog-connections.ts). Sends no queries itself. Made by
 * schema-watch.ts.
 */
import type { Catalog } from '../catalog/types.ts';
import type { NodeConfig } from '../config/config.ts';
import type { CatalogConnections, ConnectionHolder } from './catalog-connections.ts';
import { ProbeError } from './probe.ts';
import type { ProbeConnection, ProbeFailure, ProbeQuery } from './samples.ts';

/** What a catalog watch needs of a connection. */
export type CatalogConnection = Pick<ProbeConnection, 'query' | 'close'>;

/** Reads the catalog. `previous` is the one that was read last, of whatever database: what is still the same is taken from it. */
export type CatalogReader = (query: ProbeQuery, previous?: Catalog) => Promise<Catalog>;

export interface CatalogLinkOptions {
  /** As ConnectProbe. */
  readonly connect: (
    node: NodeConfig,
    onLost: (failure: ProbeFailure) => void,
    signal: AbortSignal,
  ) => Promise<CatalogConnection>;
  /** Whether the log-in that `connect` used is still among the configured or borrowed ones. Absent: always. */
  readonly isOffered?: (node: NodeConfig) => boolean;
  /** Limits the catalog connections to the node's server; absent: no limit. */
  readonly catalogConnectionsAt?: (node: NodeConfig) => CatalogConnections;
}

export class CatalogLink implements ConnectionHolder {
  readonly #options: CatalogLinkOptions;
  /** A question is under way, or about to be asked. */
  readonly #isBusy: () => boolean;
  #abort = new AbortController();
  #open: { readonly node: NodeConfig; readonly connection: CatalogConnection } | undefined;
  #share: CatalogConnections | undefined;
  #crowd: CatalogConnections | undefined;

  constructor(options: CatalogLinkOptions, isBusy: () => boolean) {
    this.#options = options;
    this.#isBusy = isBusy;
  }

  start(): void {
    this.#abort = new AbortController();
  }

  /** Aborts a connection attempt under way; an open connection is closed by `hangUp`. */
  stop(): void {
    this.#abort.abort();
  }

  /** Factor >= 1 for the pause between two looks; above 1 when many databases watch their catalogs at this server. */
  get crowding(): number {
    return this.#crowd?.crowding ?? 1;
  }

  /** Another watch waits for a connection to this server. */
  get isAwaited(): boolean {
    return this.#share?.hasWaiters === true;
  }

  async to(node: NodeConfig): Promise<CatalogConnection> {
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

  /** See ConnectionHolder. */
  isWanted(): boolean {
    // Without an open connection it is being closed already, for another watch.
    if (this.#isBusy() || this.#open === undefined) return false;
    void this.hangUp();
    return true;
  }

  /** The watch pauses: its database no longer counts in the server's `crowding`. */
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
