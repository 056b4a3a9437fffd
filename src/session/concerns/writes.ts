/**
 * What a session has written, from closing its tags before it may commit (rule 2 of docs/consistency.md) to the server's word
 * on it. What commits is what the server says (transaction.ts), whatever status the session is in behind it.
 */
import { TxStatus } from '../../protocol/codes.ts';
import type { ServerConnection } from '../../backend/server.ts';
import { bothGuards } from '../../cache/guard.ts';
import type { WriteGuard } from '../../cache/types.ts';
import type { Plan, SessionEffects } from '../../binding/plan.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import { after, commitsByItself, eventOf, type Phase, type TransactionEvent } from '../transaction.ts';
import type { Unit } from '../unit.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import type { Freshness } from './freshness.ts';
import { everything, WriteSet } from './write-set.ts';

/** What it has to know of its session besides. */
interface Owner extends ConcernOwner {
  readonly concerns: { readonly freshness: Freshness };
}

export class Writes implements Concern {
  private readonly session: Owner;
  /** Everything written of which it is not decided what becomes of it: sent, or in the open transaction. */
  private undecided: WriteSet | undefined;
  /** Of that, what the open transaction has written in requests that were answered. */
  private open: WriteSet | undefined;
  private phase: Phase = 'implicit';

  constructor(session: Owner) {
    this.session = session;
  }

  /** Is there something of which it is not decided what becomes of it? */
  get hasUndecided(): boolean {
    return this.undecided?.isEmpty === false;
  }

  /** Is there DDL among it? */
  get changesCatalog(): boolean {
    return this.undecided?.changesCatalog === true;
  }

  /** The open transaction begins again on another server. */
  beginsAgain(): void {
    this.phase = 'block';
  }

  /* ---- before it is sent ---- */

  beforeSend(unit: Unit): void {
    this.beforeMore(unit, 0);
  }

  /** Adds what the unit writes to what is not decided yet; marks the server if its state can no longer be known. */
  beforeMore(unit: Unit, from: number): void {
    const { server } = this.session;
    for (let at = from; at < unit.plans.length; at++) {
      const plan = unit.plans[at] as Plan;
      if (plan.hasEffects && server !== undefined) noteTraces(server, plan.effects);
      if (isWrite(plan)) (this.undecided ??= new WriteSet()).add(plan);
    }
  }

  beforeCommit(unit: Unit): void {
    this.guard(unit);
  }

  /**
   * Rule 2: what may commit is closed before that is sent: with a Query or a Sync, and in a batch that is begun before its
   * Sync with any COMMIT in it. Such a batch may write more behind that. Returns the guard of what was not closed yet.
   */
  guard(unit: Unit): WriteGuard | undefined {
    const { undecided, session } = this;
    if (undecided === undefined || !(unit.isComplete || unit.planned.mayCommit) || !unit.form.executes)
      return undefined;
    if (unit.attempt.guard !== undefined && unit.attempt.guardedWrites === undecided.extent) return undefined;
    const isOpenTransaction = session.status !== TxStatus.Idle && session.inFlight.length === 0;
    if (isOpenTransaction && !unit.planned.mayCommit) return undefined;
    const guard = this.closeAll();
    if (guard === undefined) return undefined;
    unit.attempt.guardedWrites = undecided.extent;
    addGuard(unit, guard);
    return guard;
  }

  /** Everything that is not decided yet. undefined: nothing, or the database's tags are not known yet. */
  private closeAll(): WriteGuard | undefined {
    const { undecided } = this;
    const { services, database, concerns, server } = this.session;
    if (undecided === undefined || undecided.isEmpty) return undefined;
    const prefix = database.tagPrefix();
    if (prefix === undefined) return undefined;
    undecided.knownBy(database.topology.catalog());
    const tags = [...undecided.tags];
    if (undecided.changesCatalog) tags.push(`${prefix}cat`);
    return services.cache.close(tags, undecided.all, prefix, concerns.freshness.seen, server);
  }

  /* ---- what the server says ---- */

  completed(
    unit: Unit,
    isQuery: boolean,
    plan: Plan | undefined,
    facts: StatementFacts | undefined,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { phase } = this;
    if (facts !== undefined && isPlain(facts.kind) && (phase === 'implicit' || phase === 'block')) return;
    const isProgram =
      facts !== undefined && facts.kind !== 'unknown' && commitsByItself(facts, plan?.facts.template ?? '');
    const event = isProgram ? 'program' : eventOf(buffer.toString('latin1', start, end - 1), facts);
    const hasMore = facts?.kind === 'unknown' || unit.attempt.statementIndex !== plan?.facts.statements.length;
    if (!this.happened(unit, event)) return;
    unit.attempt.openFrom = isQuery ? unit.plans.length - Number(hasMore) : behind(unit, plan);
  }

  failed(unit: Unit): void {
    if (this.phase === 'block' || this.phase === 'failed') this.phase = 'failed';
    else this.happened(unit, mayHaveCommitted(unit) ? 'program error' : 'error');
  }

  /** Has it ended a transaction, so that all before it in the unit is decided? */
  private happened(unit: Unit, event: TransactionEvent): boolean {
    const [next, fate] = after(this.phase, event);
    this.phase = next;
    if (fate === 'open') return false;
    if (fate === 'committed') this.acknowledge(unit);
    // What a program has written behind its own commit is decided later.
    if (event === 'program' || event === 'program error') return false;
    this.open = undefined;
    return true;
  }

  /** ReadyForQuery may be far away: from now on nobody reads what is older from a replica. The tags stay closed. */
  private acknowledge(unit: Unit): void {
    unit.attempt.hasCommitted = true;
    unit.attempt.guard ??= this.closeAll();
    const { ticker } = this.session.database.topology;
    unit.attempt.guard?.acknowledged(ticker.next(), ticker);
  }

  /* ---- ReadyForQuery ---- */

  /** What the unit has committed is bumped, what is still open is kept. */
  readyForQuery(unit: Unit, status: number): void {
    const [next, fate] = after(this.phase, readyEvent(status));
    this.phase = next;
    // A batch that executes nothing decides nothing either.
    if (fate === 'committed' && unit.form.executes) unit.attempt.hasCommitted = true;
    if (this.undecided === undefined && unit.attempt.guard === undefined) return;
    if (fate === 'open') this.keepOpen(unit);
    else this.open = undefined;
    if (unit.attempt.hasCommitted) this.committed(unit);
    else unit.attempt.guard?.rolledBack();
    if (this.session.inFlight.length === 0) this.undecided = this.open;
  }

  private keepOpen(unit: Unit): void {
    if (!unit.form.executes) return;
    for (let at = unit.attempt.hasRepeated ? 0 : unit.attempt.openFrom; at < unit.plans.length; at++) {
      const plan = unit.plans[at] as Plan;
      if (isWrite(plan)) (this.open ??= new WriteSet()).add(plan);
    }
  }

  private committed(unit: Unit): void {
    const { undecided } = this;
    const { database, concerns, services } = this.session;
    const { topology } = database;
    undecided?.knownBy(topology.catalog());
    const isMore = undecided?.all === true && (unit.attempt.guardedWrites & everything) === 0;
    if (unit.attempt.guard === undefined || isMore) {
      const guard = this.closeAll();
      if (guard !== undefined) addGuard(unit, guard);
    }
    unit.attempt.guard?.committed(topology.ticker.next(), topology.ticker);
    concerns.freshness.tokens.schema.wrote(topology.schema);
    if (undecided?.changesCatalog !== true) return;
    services.book.ddlDone();
    topology.catalogChanged();
    if (undecided.changesDefaults) database.defaultsChanged();
  }

  /* ---- the server is gone ---- */

  /** Whatever was open there is no more. */
  transactionLost(status: number): void {
    this.phase = phaseOf(status);
    this.open = undefined;
    if (this.session.inFlight.length === 0) this.undecided = undefined;
  }

  /** What was in flight there is decided when the backend is gone. */
  serverLost(): void {
    const { undecided } = this;
    const { server, inFlight, database, services } = this.session;
    if (server === undefined) return;
    const { topology } = database;
    for (let i = 0; i < inFlight.length; i++) {
      const { guard } = (inFlight.at(i) as Unit).attempt;
      if (guard === undefined) continue;
      const whenDecided = topology.whenGone(server).then(() => {
        const prefix = database.tagPrefix();
        undecided?.knownBy(topology.catalog());
        if (undecided?.all === true && prefix !== undefined)
          void services.cache.invalidate([`${prefix}all`], 'catalog');
      });
      guard.unknown(whenDecided);
    }
  }
}

export function isWrite(plan: Plan): boolean {
  return plan.writesAll || plan.changesCatalog || plan.writes.length > 0;
}

/** Before it is sent: it may die in the middle of it, and no rollback takes any of this back. */
function noteTraces(server: ServerConnection, { isSuspect, pins }: SessionEffects): void {
  if (isSuspect) server.isSuspect = true;
  // A library cannot be unloaded: whoever comes next would have it, too.
  if (pins.includes('LOAD')) server.isCloseNeeded = true;
}

function addGuard(unit: Unit, guard: WriteGuard): void {
  unit.attempt.guard = unit.attempt.guard === undefined ? guard : bothGuards(unit.attempt.guard, guard);
}

function isPlain(kind: StatementFacts['kind']): boolean {
  return kind === 'select' || kind === 'insert' || kind === 'update' || kind === 'delete';
}

/** The place behind a plan among those of which nothing was decided yet. */
function behind(unit: Unit, plan: Plan | undefined): number {
  return plan === undefined
    ? unit.attempt.openFrom
    : Math.max(unit.attempt.openFrom, unit.placeOf(plan, unit.attempt.openFrom) + 1);
}

/** May what failed have committed before it did? */
function mayHaveCommitted(unit: Unit): boolean {
  if (unit.attempt.isUnparsable) return false;
  const last = unit.plans.at(-1);
  if (last !== undefined && unit.form.shape === 'Q') {
    const failing = last.facts.statements[unit.attempt.statementIndex];
    return failing === undefined || commitsByItself(failing, last.facts.template);
  }
  return unit.plans.some(({ facts }) => facts.statements.some((one) => commitsByItself(one, facts.template)));
}

function phaseOf(status: number): Phase {
  if (status === TxStatus.Idle) return 'implicit';
  return status === TxStatus.InTransaction ? 'block' : 'failed';
}

function readyEvent(status: number): TransactionEvent {
  if (status === TxStatus.Idle) return 'idle';
  return status === TxStatus.InTransaction ? 'in block' : 'in failed block';
}
