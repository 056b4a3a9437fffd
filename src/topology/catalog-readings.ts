/**
 * Asks a server about the catalog of one database for all processes of one Weir: on one connection, one question at a time.
 * Who asks what another process waits for shares the answer, provided that the question has not been sent yet: an answer is
 * never older than the question. Used by topology.ts in the process that monitors for all; catalog-sharing.ts asks.
 */
import type { Catalog } from '../catalog/types.ts';
import type { NodeConfig } from '../config/config.ts';
import { CatalogLink, type CatalogLinkOptions } from './catalog-link.ts';
import { record, type CatalogQuestion } from './catalog-sharing.ts';
import { ProbeError } from './probe.ts';
import type { ProbeQuery, ProbeRow } from './samples.ts';

export interface CatalogReadingsOptions extends CatalogLinkOptions {
  readonly fingerprint: ((query: ProbeQuery) => Promise<string>) | undefined;
  readonly readCatalog: (query: ProbeQuery) => Promise<Catalog>;
}

/** A question that has not been sent. */
interface Pending {
  readonly node: NodeConfig;
  readonly question: CatalogQuestion;
  readonly answer: Promise<readonly ProbeRow[]>;
  resolve(rows: readonly ProbeRow[]): void;
  reject(error: unknown): void;
}

export class CatalogReadings {
  readonly #options: CatalogReadingsOptions;
  readonly #link: CatalogLink;
  readonly #pending: Pending[] = [];
  /** Numbers of the processes that may ask again soon: the connection is kept for them. */
  readonly #askers = new Set<number>();
  #isAsking = false;
  #isStopped = false;

  constructor(options: CatalogReadingsOptions) {
    this.#options = options;
    this.#link = new CatalogLink(options, () => this.#isAsking);
  }

  /** @param asker number of the process */
  ask(asker: number, node: NodeConfig, question: CatalogQuestion): Promise<readonly ProbeRow[]> {
    if (this.#isStopped) return Promise.reject(new ProbeError('stopped', false));
    this.#askers.add(asker);
    const same = this.#pending.find((each) => each.node === node && each.question === question);
    if (same !== undefined) return same.answer;
    const pending = newPending(node, question);
    this.#pending.push(pending);
    if (!this.#isAsking) void this.#askAll();
    return pending.answer;
  }

  /** The process does not need the catalog any more, for now. */
  release(asker: number): void {
    this.#askers.delete(asker);
    if (this.#askers.size > 0 || this.#isAsking) return;
    void this.#link.hangUp();
    this.#link.leaveCrowd();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#link.stop();
    for (const { reject } of this.#pending.splice(0)) reject(new ProbeError('stopped', false));
    await this.#link.hangUp();
    this.#link.leaveCrowd();
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true;
    for (;;) {
      const next = this.#pending.shift();
      if (next === undefined) break;
      try {
        next.resolve(await this.#answer(next));
      } catch (error) {
        await this.#link.hangUp();
        next.reject(error);
      }
      if (this.#link.isAwaited) await this.#link.hangUp();
    }
    this.#isAsking = false;
    if (this.#askers.size > 0) return;
    await this.#link.hangUp();
    if (this.#askers.size === 0) this.#link.leaveCrowd();
  }

  async #answer({ node, question }: Pending): Promise<readonly ProbeRow[]> {
    const { query } = await this.#link.to(node);
    const { fingerprint, readCatalog } = this.#options;
    if (question === 'catalog') return record(query, readCatalog);
    if (fingerprint === undefined) throw new ProbeError('fingerprints are not taken', false);
    return [{ fingerprint: await fingerprint(query) }];
  }
}

function newPending(node: NodeConfig, question: CatalogQuestion): Pending {
  let resolve: Pending['resolve'] = () => undefined;
  let reject: Pending['reject'] = () => undefined;
  const answer = new Promise<readonly ProbeRow[]>((onAnswer, onError) => {
    resolve = onAnswer;
    reject = onError;
  });
  return { node, question, answer, resolve, reject };
}
