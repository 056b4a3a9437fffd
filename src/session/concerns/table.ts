/**
 * The table of a session's concerns, in the order in which they are called. To add one, write its file and its row.
 * The session calls them through Moments.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { Plan } from '../../binding/plan.ts';
import type { Classified, StatementFacts } from '../../sql/facts.ts';
import { Fields } from '../../util/fields.ts';
import type { Preferences } from '../preferences.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import { AfterDdl } from './after-ddl.ts';
import { CustomSettings } from './custom-settings.ts';
import { Freshness } from './freshness.ts';
import { Opening } from './opening.ts';
import { Pins } from './pins.ts';
import { SessionPreferences } from './preferences.ts';
import { PreparedStatements } from './prepared-statements.ts';
import { Sequences } from './sequences.ts';
import { SessionSettings } from './settings.ts';
import { Writes } from './writes.ts';

/**
 * The order matters in these moments. prepareServer: the SQL of sequences, settings, the open transaction and custom
 * settings runs in this order. statementDone: settings come before prepared statements, which depend on them.
 * readyForQuery: writes come before freshness, which depends on whether the request has committed something.
 * effectsDone, effectsInPart: pins come before afterDdl, which looks whether its pin was set.
 */
const table = {
  sequences: Sequences,
  settings: SessionSettings,
  opening: Opening,
  customSettings: CustomSettings,
  writes: Writes,
  freshness: Freshness,
  pins: Pins,
  afterDdl: AfterDdl,
  preferences: SessionPreferences,
  prepared: PreparedStatements,
} as const;

type Table = typeof table;
export type Concerns = { readonly [Name in keyof Table]: InstanceType<Table[Name]> };

/** What all concerns together need of their session. */
export interface SessionOfConcerns extends ConcernOwner {
  readonly concerns: Concerns;
  readonly identity: { readonly user: string };
  readonly startPreferences: Preferences;
  classify(sql: Buffer): Classified;
}

const rows: readonly (readonly [string, new (session: SessionOfConcerns) => Concern])[] = Object.entries(table);

export function makeConcerns(session: SessionOfConcerns): Concerns {
  const made: Record<string, Concern> = {};
  for (const [name, Row] of rows) made[name] = new Row(session);
  return made as unknown as Concerns;
}

/** Indexes in the table of the concerns that implement this moment. Computed once, when Weir starts. */
function having(moment: keyof Concern): readonly number[] {
  return rows.flatMap(([, Row], at) => (moment in Row.prototype ? [at] : []));
}

function nameOf(place: number): string {
  return rows[place]?.[0] ?? '';
}

const isReady = having('isReady');
const prepareServer = having('prepareServer');
const serverPrepared = having('serverPrepared');
const beforeSend = having('beforeSend');
const beforeMore = having('beforeMore');
const beforeCommit = having('beforeCommit');
const completed = having('completed');
const statementDone = having('statementDone');
const effectsDone = having('effectsDone');
const effectsInPart = having('effectsInPart');
const failed = having('failed');
const runsAgain = having('runsAgain');
const serverLost = having('serverLost');
const transactionLost = having('transactionLost');
const serverLeft = having('serverLeft');
const serverForgotten = having('serverForgotten');
const clientLeft = having('clientLeft');
const closed = having('closed');
const holdsUp = having('holdsUp');
const pack = having('pack');

/** A concern that is known to implement the moment. */
type Having = Required<Concern>;

/** Calls the concerns of one session. Concern documents the moments. */
export class Moments {
  private readonly concerns: Concerns;
  /** The same, by their place in the table. */
  private readonly places: readonly Having[];

  constructor(concerns: Concerns) {
    this.concerns = concerns;
    this.places = Object.values(concerns) as unknown as Having[];
  }

  private at(place: number): Having {
    return this.places[place] as Having;
  }

  isReady(server: ServerConnection, request: Request): boolean {
    for (const place of isReady) if (!this.at(place).isReady(server, request)) return false;
    return true;
  }

  /** @returns SQL that the server has to run first, in order; undefined: none */
  prepareServer(server: ServerConnection, request: Request): readonly string[] | undefined {
    let texts: string[] | undefined;
    for (const place of prepareServer) {
      const text = this.at(place).prepareServer(server, request);
      if (text !== undefined) (texts ??= []).push(text);
    }
    return texts;
  }

  serverPrepared(server: ServerConnection): void {
    for (const place of serverPrepared) this.at(place).serverPrepared(server);
  }

  beforeSend(request: Request): void {
    for (const place of beforeSend) this.at(place).beforeSend(request);
  }

  beforeMore(request: Request, from: number): void {
    for (const place of beforeMore) this.at(place).beforeMore(request, from);
  }

  beforeCommit(request: Request): void {
    for (const place of beforeCommit) this.at(place).beforeCommit(request);
  }

  completed(
    request: Request,
    isQuery: boolean,
    plan: Plan | undefined,
    facts: StatementFacts | undefined,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    for (const place of completed) this.at(place).completed(request, isQuery, plan, facts, buffer, start, end);
  }

  statementDone(facts: StatementFacts, tag: string, isQuery: boolean): void {
    for (const place of statementDone) this.at(place).statementDone(facts, tag, isQuery);
  }

  effectsDone(plan: Plan): void {
    for (const place of effectsDone) this.at(place).effectsDone(plan);
  }

  effectsInPart(plan: Plan): void {
    for (const place of effectsInPart) this.at(place).effectsInPart(plan);
  }

  failed(request: Request): void {
    for (const place of failed) this.at(place).failed(request);
  }

  /**
   * Nearly all concerns implement it, and it comes with each request: so the calls stand here one by one, which V8 makes
   * faster than a loop over objects of nine classes. A test compares them with the table.
   */
  readyForQuery(request: Request, status: number): void {
    const { concerns } = this;
    concerns.sequences.readyForQuery(request, status);
    concerns.settings.readyForQuery(request, status);
    concerns.opening.readyForQuery(request, status);
    concerns.customSettings.readyForQuery(request);
    concerns.writes.readyForQuery(request, status);
    concerns.freshness.readyForQuery(request, status);
    concerns.pins.readyForQuery(request, status);
    concerns.afterDdl.readyForQuery(request, status);
    concerns.prepared.readyForQuery(request, status);
  }

  runsAgain(): void {
    for (const place of runsAgain) this.at(place).runsAgain();
  }

  serverLost(): void {
    for (const place of serverLost) this.at(place).serverLost();
  }

  transactionLost(status: number): void {
    for (const place of transactionLost) this.at(place).transactionLost(status);
  }

  serverLeft(): void {
    for (const place of serverLeft) this.at(place).serverLeft();
  }

  serverForgotten(): void {
    for (const place of serverForgotten) this.at(place).serverForgotten();
  }

  clientLeft(server: ServerConnection): void {
    for (const place of clientLeft) this.at(place).clientLeft(server);
  }

  closed(): void {
    for (const place of closed) this.at(place).closed();
  }

  /** @returns what the hand-over waits for; undefined: nothing */
  holdsUp(isLate: boolean): string | undefined {
    for (const place of holdsUp) {
      const why = this.at(place).holdsUp(isLate);
      if (why !== undefined) return why;
    }
    return undefined;
  }

  /** @returns by the concern's name in the table: what unpack() takes in another process */
  pack(): Readonly<Record<string, unknown>> {
    const packed: Record<string, unknown> = {};
    for (const place of pack) {
      const own = this.at(place).pack();
      if (own !== undefined) packed[nameOf(place)] = own;
    }
    return packed;
  }

  /** @throws ShapeError */
  unpack(packed: Readonly<Record<string, unknown>>): void {
    const known = pack.map(nameOf);
    const fields = new Fields('the concerns', packed, known);
    for (const place of pack) if (fields.has(nameOf(place))) this.at(place).unpack(fields.value(nameOf(place)));
  }
}
