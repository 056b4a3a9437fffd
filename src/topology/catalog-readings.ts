/**
 * Asks servers about the catalog of one database for all processes of one Weir: one question at a time at each node, so that one
 * which does not answer keeps no question to another one waiting. A connection is kept to the node that was asked last.
 * Who asks what another process waits for shares the answer, provided that the question has not been sent yet: an answer is
 * never older than the question. Used by topology.ts in the process that monitors for all; catalog-sharing.ts asks.
 */
import type { NodeConfig } from '../config/config.ts';
import { CatalogLink, type CatalogLinkOptions, type CatalogReader } from './catalog-link.ts';
import { record, type CatalogQuestion } from './catalog-sharing.ts';
import { ProbeError } from './probe.ts';
import type { ProbeQuery, ProbeRow } from './samples.ts';

export interface CatalogReadingsOptions extends CatalogLinkOptions {
  readonly fingerprint: ((query: ProbeQuery) => Promise<string>) | undefined;
  readonly readCatalog: CatalogReader;
}

/** A question that has not been sent. */
interface Pending {
  readonly question: CatalogQuestion;
  readonly answer: Promise<readonly ProbeRow[]>;
  resolve(rows: readonly ProbeRow[]): void;
  reject(error: unknown): void;
}

/** The questions to one node, and the connection on which they are asked. */
interface Asked {
  readonly node: NodeConfig;
  readonly link: CatalogLink;
  readonly pending: Pending[];
  isAsking: boolean;
}

export class CatalogReadings {
  readonly #options: CatalogReadingsOptions;
  readonly #nodes = new Map<NodeConfig, Asked>();
  /** The node that was asked last. */
  #last: NodeConfig | undefined;
  /** Numbers of the processes that may ask again soon: the connection is kept for them. */
  readonly #askers = new Set<number>();
  #isStopped = false;

  constructor(options: CatalogReadingsOptions) {
    this.#options = options;
  }

  /** @param asker number of the process */
  ask(asker: number, node: NodeConfig, question: CatalogQuestion): Promise<readonly ProbeRow[]> {
    if (this.#isStopped) return Promise.reject(new ProbeError('stopped', false));
    this.#askers.add(asker);
    this.#last = node;
    void this.#leaveUnneeded();
    const asked = this.#nodes.get(node) ?? this.#begin(node);
    const same = asked.pending.find((each) => each.question === question);
    if (same !== undefined) return same.answer;
    const pending = newPending(question);
    asked.pending.push(pending);
    if (!asked.isAsking) void this.#askAll(asked);
    return pending.answer;
  }

  /** The process does not need the catalog any more, for now. */
  release(asker: number): void {
    this.#askers.delete(asker);
    void this.#leaveUnneeded();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#askers.clear();
    for (const { link, pending } of this.#nodes.values()) {
      link.stop();
      for (const { reject } of pending.splice(0)) reject(new ProbeError('stopped', false));
    }
    await Promise.all([...this.#nodes.values()].map((asked) => this.#leave(asked)));
  }

  #begin(node: NodeConfig): Asked {
    const asked: Asked = {
      node,
      link: new CatalogLink(this.#options, () => asked.isAsking),
      pending: [],
      isAsking: false,
    };
    this.#nodes.set(node, asked);
    return asked;
  }

  #isNeeded(asked: Asked): boolean {
    return asked.isAsking || (asked.node === this.#last && this.#askers.size > 0);
  }

  async #leaveUnneeded(): Promise<void> {
    const unneeded = [...this.#nodes.values()].filter((asked) => !this.#isNeeded(asked));
    await Promise.all(unneeded.map((asked) => this.#leave(asked)));
  }

  async #leave(asked: Asked): Promise<void> {
    this.#nodes.delete(asked.node);
    await asked.link.hangUp();
    asked.link.leaveCrowd();
  }

  async #askAll(asked: Asked): Promise<void> {
    const { link, pending } = asked;
    asked.isAsking = true;
    for (;;) {
      const next = pending.shift();
      if (next === undefined) break;
      try {
        next.resolve(await this.#answer(asked, next.question));
      } catch (error) {
        await link.hangUp();
        next.reject(error);
      }
      if (link.isAwaited) await link.hangUp();
    }
    asked.isAsking = false;
    await this.#leaveUnneeded();
  }

  async #answer({ node, link }: Asked, question: CatalogQuestion): Promise<readonly ProbeRow[]> {
    const { query } = await link.to(node);
    const { fingerprint, readCatalog } = this.#options;
    if (question === 'catalog') return record(query, readCatalog);
    if (fingerprint === undefined) throw new ProbeError('fingerprints are not taken', false);
    return [{ fingerprint: await fingerprint(query) }];
  }
}

function newPending(question: CatalogQuestion): Pending {
  let resolve: Pending['resolve'] = () => undefined;
  let reject: Pending['reject'] = () => undefined;
  const answer = new Promise<readonly ProbeRow[]>((onAnswer, onError) => {
    resolve = onAnswer;
    reject = onError;
  });
  return { question, answer, resolve, reject };
}
