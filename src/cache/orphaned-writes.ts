/**
 * Open writes of Weirs that are gone: their PostgreSQL backends may still commit them. Their tags stay closed here,
 * and are read from the primary, until the backend has ended, the Weir is back, or another Weir has found out the
 * outcome. Each Weir does this by itself, before it has a lease; Redis lists the writes (scripts.ts, hello). Made by
 * membership.ts.
 */
import type { Log } from '../observability/types.ts';
import type { Tag } from '../binding/plan.ts';
import type { StoreWords } from './store-words.ts';
import type { TagState } from './tag-state.ts';
import type { TagTable } from './tags.ts';
import type { HelloReply, Orphan } from './transport.ts';
import type { Backend, WhenGone } from './types.ts';

export interface OrphanRules {
  readonly table: TagTable;
  readonly log: Log;
  readonly words: StoreWords;
  /** Changes the number of writes of unknown outcome by `change`. */
  undecided(change: 1 | -1): void;
  /** The backend has ended, so the write has an outcome: tells the other Weirs. */
  opened(token: string, states: readonly TagState[]): void;
  /** For tests that take this rule out: open writes of Weirs that are gone are ignored. */
  readonly ignoresOrphans: boolean;
}

interface Write {
  readonly orphan: Orphan;
  readonly prefix: string;
  readonly backend: Backend;
  readonly states: readonly TagState[];
  /**
   * Generation of Redis's data that listed this write last. If another generation lacks it, Redis may have lost its
   * data.
   */
  generation: string;
  /** 'decided': the outcome is known; Redis was told, but may still list the write. */
  state: 'open' | 'decided';
}

/** @returns the note by which other Weirs can find out the outcome of this write: database, server and backend, tags */
export function noteOf(prefix: string, { node, processId }: Backend, tags: readonly Tag[]): string {
  return JSON.stringify([prefix, node.host, node.port, processId, tags]);
}

const ownerOf = (token: string): string => token.slice(0, token.indexOf(':'));
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 10_000;
const isInt4 = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;

/** @returns undefined for a note that noteOf does not write, because any program may write to Redis */
export function parseNote(note: string): { prefix: string; backend: Backend; tags: readonly Tag[] } | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(note);
  } catch {
    return undefined;
  }
  if (!Array.isArray(raw)) return undefined;
  const [prefix, host, port, processId, tags] = raw as unknown[];
  if (!isText(prefix) || !isText(host) || !isInt4(port) || !isInt4(processId)) return undefined;
  if (!Array.isArray(tags) || tags.length > 1_000 || !tags.every(isText)) return undefined;
  return { prefix, backend: { node: { host, port }, processId }, tags };
}

export class OrphanedWrites {
  private readonly rules: OrphanRules;
  private readonly writes = new Map<string, Write>();
  private readonly whenGone = new Map<string, WhenGone>();

  constructor(rules: OrphanRules) {
    this.rules = rules;
  }

  /** @param whenGone waits for the end of a backend, for the database of `prefix` */
  attach(prefix: string, whenGone: WhenGone): void {
    if (this.whenGone.get(prefix) === whenGone) return;
    this.whenGone.set(prefix, whenGone);
    for (const write of this.writes.values()) if (write.prefix === prefix) this.awaitEnd(write);
  }

  /** Call with every answer to `hello`, before its lease is used. */
  learn({ orphans, isWhole, echo, members, missing }: HelloReply): void {
    if (this.rules.ignoresOrphans) return;
    const [generation = ''] = echo.split(' ');
    const listed = new Set<string>();
    const before = this.writes.size;
    for (const orphan of orphans) {
      listed.add(orphan.token);
      const known = this.writes.get(orphan.token);
      if (known === undefined) this.adopt(orphan, generation);
      else known.generation = generation;
      if (known?.state === 'decided') this.rules.opened(orphan.token, known.states);
    }
    if (this.writes.size > before) this.logAdopted(this.writes.size - before);
    if (!isWhole || this.writes.size === 0) return;
    const present = new Set(members.filter((id) => !missing.includes(id)));
    for (const [token, write] of this.writes) {
      if (listed.has(token)) continue;
      const isSettled = write.generation === generation || write.state === 'decided' || present.has(ownerOf(token));
      if (isSettled) this.forget(token, write);
    }
  }

  /** Sent with `hello`, in case Redis has lost its data. */
  get known(): readonly Orphan[] {
    if (this.writes.size === 0) return none;
    return [...this.writes.values()].filter(({ state }) => state === 'open').map(({ orphan }) => orphan);
  }

  private logAdopted(count: number): void {
    const what = `${count} open write(s) of a ${this.rules.words.peer} that is not heard of`;
    this.rules.log(
      'warn',
      'cache_inherited',
      `${what}: uncached, and on the primary, until their servers have ended them`,
    );
  }

  private adopt(orphan: Orphan, generation: string): void {
    const note = parseNote(orphan.note);
    if (note === undefined) return;
    const { prefix, backend } = note;
    const states = [...new Set(note.tags)].map((tag) => this.rules.table.state(tag));
    const write: Write = { orphan, prefix, backend, states, generation, state: 'open' };
    this.writes.set(orphan.token, write);
    this.rules.undecided(1);
    for (const state of states) {
      state.closed++;
      state.changeUndecided(1);
      state.changed();
    }
    this.awaitEnd(write);
  }

  private awaitEnd(write: Write): void {
    void this.whenGone
      .get(write.prefix)?.(write.backend)
      .then(() => {
        if (write.state === 'decided' || this.writes.get(write.orphan.token) !== write) return;
        write.state = 'decided';
        this.open(write);
        this.rules.opened(write.orphan.token, write.states);
      });
  }

  /** Redis no longer lists the write: its Weir is back, or another Weir has found out the outcome. */
  private forget(token: string, write: Write): void {
    this.writes.delete(token);
    if (write.state === 'open') this.open(write);
  }

  private open({ states }: Write): void {
    this.rules.undecided(-1);
    for (const state of states) {
      state.closed--;
      state.changeUndecided(-1);
      state.writtenNow();
      // Another write may have closed the tag meanwhile: Redis must be asked.
      state.shared.value = 0;
      this.rules.table.bump(state);
    }
  }
}

const none: readonly Orphan[] = [];
