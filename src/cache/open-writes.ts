/**
 * The open writes of each member that shares a store, with their notes, and which of these members are gone: the part
 * of shared-memory.ts that scripts.ts keeps in `w:` and `gone`. Lists what the others inherit. Pure.
 */
import type { Orphan } from './transport.ts';

/** As scripts.ts: a lease requires the complete list, so it must not grow without limit. */
const maxOrphans = 256;

/** @returns the member whose write this is; undefined for a token that is none */
export function ownerOf(token: string): string | undefined {
  const colon = token.indexOf(':');
  return colon > 0 ? token.slice(0, colon) : undefined;
}

export class Inheritance {
  readonly orphans: Orphan[] = [];
  isWhole = true;
}

/** Survives a structured clone. */
export interface OpenWritesState {
  readonly writes: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly gone: ReadonlySet<string>;
}

export class OpenWrites {
  /** Owner -> token -> note. An owner without an open write is not in it. */
  private readonly writes: Map<string, Map<string, string>>;
  private readonly gone: Set<string>;

  /** @param state of another process */
  constructor(state?: OpenWritesState) {
    this.writes = new Map(Array.from(state?.writes ?? [], ([owner, known]) => [owner, new Map(known)] as const));
    this.gone = new Set(state?.gone);
  }

  state(): OpenWritesState {
    return { writes: this.writes, gone: this.gone };
  }

  has(token: string): boolean {
    const owner = ownerOf(token);
    return owner !== undefined && this.writes.get(owner)?.has(token) === true;
  }

  add(owner: string, token: string, note: string): void {
    const known = this.writes.get(owner);
    if (known === undefined) this.writes.set(owner, new Map([[token, note]]));
    else known.set(token, note);
  }

  delete(token: string): void {
    const owner = ownerOf(token);
    const known = owner === undefined ? undefined : this.writes.get(owner);
    if (owner === undefined || known === undefined) return;
    known.delete(token);
    if (known.size === 0) this.writes.delete(owner);
  }

  /** The owner says which of its writes are open: the end of the others was lost. */
  keepOnly(owner: string, open: readonly string[]): void {
    const known = this.writes.get(owner);
    if (known === undefined) return;
    const held = new Set(open);
    for (const token of known.keys()) if (!held.has(token)) known.delete(token);
    if (known.size === 0) this.writes.delete(owner);
  }

  forget(owner: string): void {
    this.writes.delete(owner);
  }

  markGone(owner: string): void {
    this.gone.add(owner);
  }

  /** Adds the open writes of `owner`. @returns false if it has none */
  inherit(owner: string, to: Inheritance): boolean {
    const known = this.writes.get(owner);
    if (known === undefined) return false;
    for (const [token, note] of known) {
      if (to.orphans.length < maxOrphans) to.orphans.push({ token, note });
      else to.isWhole = false;
    }
    return true;
  }

  /** Adds the open writes of all owners that are gone. @param isBack it is a member again, and answers for itself */
  inheritGone(to: Inheritance, isBack: (owner: string) => boolean): void {
    for (const owner of this.gone) if (isBack(owner) || !this.inherit(owner, to)) this.gone.delete(owner);
  }
}
