/**
 * The judge: who wrote what when, who read what when, and whether that can be. Each register has one writer, which counts
 * up, so every check is a comparison of two numbers. Pure: no socket, no clock. Values below zero are never committed.
 * What is promised is in docs/consistency.md; `Ledger` knows what all sessions were told, a `Reader` what one session was.
 */
export type Level = 'eventual' | 'session' | 'strict';

export type What =
  | 'own write not seen'
  | 'went back'
  | "another session's write not seen"
  | 'older than allowed'
  | 'saw what was not committed'
  | 'saw what nobody wrote'
  | 'two snapshots in one statement'
  | 'two snapshots in one transaction'
  | "another session's settings"
  | 'of another moment'
  | 'never agreed';

export interface Anomaly {
  readonly what: What;
  readonly text: string;
  /** What led to it, one event a line. */
  readonly history: readonly string[];
}

type Outcome = 'under way' | 'committed' | 'rolled back' | 'unknown';

export interface Write {
  readonly register: number;
  readonly value: number;
  readonly kind: string;
  readonly via: string;
  readonly invokedAtMs: number;
  returnedAtMs: number;
  outcome: Outcome;
}

/** One process of Weir, between its start and its end: what it has acknowledged is promised to its own sessions only. */
export class Via {
  readonly name: string;
  readonly acked: Float64Array;

  constructor(name: string, registers: number) {
    this.name = name;
    this.acked = new Float64Array(registers);
  }
}

/** What may be read is fixed when the read is sent. */
export interface Claim {
  readonly register: number;
  readonly invokedAtMs: number;
  readonly own: number;
  readonly via: number;
  readonly bound: number;
  /** Up to here the session's reads must not go back. */
  readonly shown: number;
  /** What was read how, for the report. */
  readonly how: string;
}

interface Known {
  readonly atMs: number;
  readonly value: number;
}

interface Read {
  readonly claim: Claim;
  readonly session: string;
  readonly value: number;
  readonly nowMs: number;
  readonly route: string;
}

const keptWrites = 16;
const keptReads = 20_000;
const keptForReport = 25;

/** Values that were known to be committed, and since when: the newest that is at least `boundMs` old is owed to everybody. */
class Bound {
  private readonly known: Known[] = [];
  private floor = 0;

  add(value: number, atMs: number): void {
    const last = this.known.at(-1)?.value ?? this.floor;
    if (value > last) this.known.push({ atMs, value });
  }

  at(timeMs: number): number {
    while (this.known.length > 0 && this.known[0]!.atMs <= timeMs) this.floor = this.known.shift()!.value;
    return this.floor;
  }
}

export class Ledger {
  readonly names: readonly string[];
  readonly anomalies: Anomaly[] = [];
  reads = 0;
  writes = 0;
  unknown = 0;
  /** Acknowledged through any Weir: owed to `strict`. */
  readonly acked: Float64Array;
  readonly issued: Float64Array;
  private readonly aborted: Set<number>[];
  private readonly bounds: Bound[];
  private readonly recent: Write[][];
  private readonly isAround: (register: number) => boolean;
  private readonly isLate: (register: number) => boolean;
  private readonly mayGoBack: (register: number) => boolean;
  private readonly boundMs: number;
  /** Reads of everybody as a ring. */
  private readonly log: Read[] = [];
  private logged = 0;

  /**
   * @param options `isAround`: written around Weir, of which it cannot know; `isLate`: it learns late that others are owed it;
   * `boundMs`: how old a read may be at most
   */
  constructor(
    names: readonly string[],
    options: {
      isAround: (register: number) => boolean;
      isLate?: (register: number) => boolean;
      mayGoBack: (register: number) => boolean;
      boundMs: number;
    },
  ) {
    this.names = names;
    this.acked = new Float64Array(names.length);
    this.issued = new Float64Array(names.length);
    this.aborted = names.map(() => new Set());
    this.bounds = names.map(() => new Bound());
    this.recent = names.map(() => []);
    this.isAround = options.isAround;
    this.isLate = options.isLate ?? (() => false);
    this.mayGoBack = options.mayGoBack;
    this.boundMs = options.boundMs;
  }

  begin(register: number, value: number, what: { kind: string; via: string; nowMs: number }): Write {
    const { kind, via, nowMs } = what;
    const write: Write = { register, value, kind, via, invokedAtMs: nowMs, returnedAtMs: 0, outcome: 'under way' };
    this.issued[register] = Math.max(this.issued[register]!, value);
    const recent = this.recent[register]!;
    recent.push(write);
    if (recent.length > keptWrites) recent.shift();
    return write;
  }

  committed(write: Write, nowMs: number, via: Via | undefined, owner: Reader | undefined): void {
    this.end(write, 'committed', nowMs);
    this.writes++;
    this.bounds[write.register]!.add(write.value, nowMs);
    raise(this.acked, write.register, write.value);
    if (this.isAround(write.register)) return;
    if (via !== undefined) raise(via.acked, write.register, write.value);
    if (owner !== undefined) raise(owner.own, write.register, write.value);
  }

  rolledBack(write: Write, nowMs: number): void {
    this.end(write, 'rolled back', nowMs);
    this.aborted[write.register]!.add(write.value);
  }

  unknownOutcome(write: Write, nowMs: number): void {
    this.end(write, 'unknown', nowMs);
    this.unknown++;
  }

  private end(write: Write, outcome: Outcome, nowMs: number): void {
    write.outcome = outcome;
    write.returnedAtMs = nowMs;
  }

  /** Somebody has asked the primary itself: committed by now, whatever its writer was told. */
  observed(register: number, value: number, nowMs: number): void {
    this.bounds[register]!.add(value, nowMs);
  }

  claim(reader: Reader, register: number, nowMs: number, how: string): Claim {
    const bound = this.bounds[register]!.at(nowMs - this.boundMs);
    const isBoundOnly = reader.level === 'eventual' || this.isAround(register);
    const own = isBoundOnly ? 0 : reader.own[register]!;
    const others = reader.level === 'strict' ? this.acked : reader.via.acked;
    // A replica can show a commit before the primary does; Weir knows when to wait only if it has sent the commit.
    const shown = this.isAround(register) ? this.acked[register]! : Infinity;
    return {
      register,
      invokedAtMs: nowMs,
      own,
      via: isBoundOnly || this.isLate(register) ? 0 : others[register]!,
      bound,
      shown,
      how,
    };
  }

  /** Answers of one session come here in the order in which it got them. */
  returned(reader: Reader, claim: Claim, value: number, nowMs: number, route = ''): void {
    this.reads++;
    const { register } = claim;
    this.log[this.logged++ % keptReads] = { claim, session: reader.name, value, nowMs, route };
    const what = this.judge(reader, claim, value);
    if (what !== undefined) {
      const seen = reader.seen[register]!;
      const owed = `own ${claim.own}, of others ${claim.via}, seen ${seen}, by time ${claim.bound}`;
      this.accuse(what, reader, claim, `read ${value}; owed: ${owed}`);
    }
    if (value > reader.seen[register]!) reader.seen[register] = value;
  }

  private judge(reader: Reader, claim: Claim, value: number): What | undefined {
    const { register } = claim;
    if (value < 0 || this.aborted[register]!.has(value)) return 'saw what was not committed';
    if (value > this.issued[register]!) return 'saw what nobody wrote';
    if (value < claim.own) return 'own write not seen';
    const mayGoBack = reader.level === 'eventual' || this.mayGoBack(register) || this.isLate(register);
    if (!mayGoBack && value < Math.min(reader.seen[register]!, claim.shown)) return 'went back';
    if (value < claim.via) return "another session's write not seen";
    return value < claim.bound ? 'older than allowed' : undefined;
  }

  accuse(what: What, reader: Reader, claim: Claim, detail: string): void {
    const name = this.names[claim.register]!;
    const text = `${what}: ${reader.name} (${reader.level}, ${reader.via.name}), ${name}, ${claim.how}, sent at ${claim.invokedAtMs.toFixed(1)}: ${detail}`;
    if (this.anomalies.length < 1000) this.anomalies.push({ what, text, history: this.historyOf(claim.register) });
  }

  private historyOf(register: number): string[] {
    const writes = this.recent[register]!.map(
      (write) =>
        `${write.invokedAtMs.toFixed(1)}-${write.returnedAtMs.toFixed(1)} write ${write.value} by ${write.kind} through ${write.via}: ${write.outcome}`,
    );
    const reads = this.log
      .filter(({ claim }) => claim.register === register)
      .map(({ claim, session, value, nowMs, route }) => {
        const at = `${claim.invokedAtMs.toFixed(1)}-${nowMs.toFixed(1)}`;
        return `${at} ${session} read ${value} by ${claim.how}${route === '' ? '' : ` from ${route}`}`;
      });
    return [...writes, ...reads.slice(-keptForReport)].sort((a, b) => Number.parseFloat(a) - Number.parseFloat(b));
  }
}

export class Reader {
  readonly name: string;
  readonly level: Level;
  readonly via: Via;
  /** Highest value of each register that this session has read. */
  readonly seen: Float64Array;
  /** ... and that it was told is committed. */
  readonly own: Float64Array;

  constructor(name: string, level: Level, via: Via) {
    this.name = name;
    this.level = level;
    this.via = via;
    this.seen = new Float64Array(via.acked.length);
    this.own = new Float64Array(via.acked.length);
  }
}

function raise(floors: Float64Array, register: number, value: number): void {
  if (value > floors[register]!) floors[register] = value;
}
