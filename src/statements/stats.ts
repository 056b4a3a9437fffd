/**
 * Statistics of statements by text, user and database. Bounded: when there are too many, the twentieth part that is used
 * least goes, as in pg_stat_statements. What has to be found for each statement is found by the object of its template
 * (QueryFacts), which the classifier shares between all texts of that template. Made by watch.ts.
 */
import type { QueryFacts } from '../sql/facts.ts';
import { Entry } from './entry.ts';
import { statementTexts, type StatementText } from './text.ts';
import type { StatementAccount, StatementFigures } from './types.ts';

/** Of those that count, this part goes when there are too many, and the use of the others fades a little. */
const evictedPart = 0.05;
const fading = 0.99;
/** Sessions keep theirs; more are only found a little later. */
const mostAccounts = 1_000;

export class Account implements StatementAccount {
  readonly database: string;
  readonly user: string;
  /** Per template, one for each statement of it. */
  readonly entries = new WeakMap<QueryFacts, Entry[]>();

  constructor(database: string, user: string) {
    this.database = database;
    this.user = user;
  }
}

export class StatementStats {
  private readonly entries = new Map<string, Entry>();
  private readonly texts = new WeakMap<QueryFacts, readonly StatementText[]>();
  private readonly accounts = new Map<string, Account>();
  private readonly epochMs: () => number;
  private max: number;

  constructor(max: number, epochMs: () => number) {
    this.max = max;
    this.epochMs = epochMs;
  }

  accountOf(database: string, user: string): Account {
    const { accounts } = this;
    const key = `${database}\0${user}`;
    const known = accounts.get(key);
    if (known !== undefined) return known;
    const made = new Account(database, user);
    accounts.set(key, made);
    const [oldest] = accounts.keys();
    if (accounts.size > mostAccounts && oldest !== undefined) accounts.delete(oldest);
    return made;
  }

  textOf(facts: QueryFacts, at: number): StatementText {
    let texts = this.texts.get(facts);
    if (texts === undefined) {
      texts = statementTexts(facts);
      this.texts.set(facts, texts);
    }
    return (texts[at] ?? texts[0]) as StatementText;
  }

  entryOf(account: Account, facts: QueryFacts, at: number): Entry {
    const known = account.entries.get(facts)?.[at];
    return known === undefined || known.isGone ? this.find(account, facts, at) : known;
  }

  private find(account: Account, facts: QueryFacts, at: number): Entry {
    const text = this.textOf(facts, at);
    const { database, user } = account;
    const key = `${database}\0${user}\0${text.id}`;
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = new Entry(database, user, text, this.epochMs());
      this.entries.set(key, entry);
      this.evict(entry);
    }
    const slots = account.entries.get(facts);
    if (slots !== undefined) slots[at] = entry;
    else {
      const made: Entry[] = [];
      made[at] = entry;
      account.entries.set(facts, made);
    }
    return entry;
  }

  /** @param latest stays, whatever its use: it is about to be counted */
  private evict(latest?: Entry): void {
    const { entries, max } = this;
    if (entries.size <= max) return;
    const byUse = [...entries].sort(([, a], [, b]) => a.usage - b.usage);
    const tooMany = Math.max(entries.size - max, Math.floor(max * evictedPart));
    let left = tooMany;
    for (const [key, entry] of byUse) {
      if (left === 0) break;
      if (entry === latest) continue;
      entry.isGone = true;
      entries.delete(key);
      left--;
    }
    for (const entry of entries.values()) entry.usage *= fading;
  }

  resize(max: number): void {
    this.max = max;
    this.evict();
  }

  /** Forgets all. */
  reset(): void {
    for (const entry of this.entries.values()) entry.isGone = true;
    this.entries.clear();
  }

  figures(): StatementFigures[] {
    return Array.from(this.entries.values(), (entry) => entry.figures());
  }
}
