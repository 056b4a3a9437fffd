/**
 * What a session has written: closes its cache tags before it may commit (rule 2 of docs/consistency.md), and settles
 * them by the server's answer. What was committed is decided message by message (transaction.ts); the status in
 * ReadyForQuery is only the last of these messages.
 */
import { TxStatus } from '../../protocol/codes.ts';
import type { ServerConnection } from '../../backend/server.ts';
import { bothGuards } from '../../cache/guard.ts';
import type { WriteGuard } from '../../cache/types.ts';
import type { Plan, SessionEffects, Tag } from '../../binding/plan.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import { Fields } from '../../util/fields.ts';
import { after, commitsByItself, eventOf, phaseOf, readyEvent } from '../transaction.ts';
import type { Phase, TransactionEvent } from '../transaction.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import { mayHaveCommitted } from './failed-statement.ts';
import type { Freshness } from './freshness.ts';
import { anyDatabase, everything, WriteSet } from './write-set.ts';

/** What it needs of its session in addition. */
interface Owner extends ConcernOwner {
  readonly concerns: { readonly freshness: Freshness };
}

/** How long after DDL of its own a session tells the process that it is handed to of it. */
const ddlToldMs = 10_000;

/** Tables and tags; only tags are refused. */
const maxTagsPerTransaction = 1_000;

export class Writes implements Concern {
  private readonly session: Owner;
  /** Everything written whose outcome is not decided: in flight, or in the open transaction. */
  private undecided: WriteSet | undefined;
  /** The part of it that the open transaction wrote in requests already answered. */
  private open: WriteSet | undefined;
  private phase: Phase = 'implicit';
  /** When the session last committed DDL. */
  private ddlAtMs: number | undefined;

  constructor(session: Owner) {
    this.session = session;
  }

  /** There are writes whose outcome is not decided. */
  get hasUndecided(): boolean {
    return this.undecided?.isEmpty === false;
  }

  /** The undecided writes include DDL. */
  get changesCatalog(): boolean {
    return this.undecided?.changesCatalog === true;
  }

  /** The open transaction begins again on another server. */
  beginsAgain(): void {
    this.phase = 'block';
  }

  /* ---- before it is sent ---- */

  beforeSend(request: Request): void {
    this.beforeMore(request, 0);
  }

  /**
   * Adds the writes of the request to the undecided ones. Marks the server if its session state can no longer be
   * known.
   */
  beforeMore(request: Request, from: number): void {
    const { server } = this.session;
    for (let at = from; at < request.plans.length; at++) {
      const plan = request.plans[at] as Plan;
      if (plan.hasEffects && server !== undefined) noteTraces(server, plan.effects);
      if (isWrite(plan)) (this.undecided ??= new WriteSet()).add(plan);
    }
  }

  /**
   * weir_invalidate() in the open transaction counts as a write of the tags: they are closed before the COMMIT and get new stamps
   * after it, unless the transaction is rolled back. A savepoint that is rolled back takes nothing back.
   * @returns false: there are too many
   */
  addTags(tags: readonly Tag[]): boolean {
    if ((this.undecided?.tags.size ?? 0) + tags.length > maxTagsPerTransaction) return false;
    (this.undecided ??= new WriteSet()).addTags(tags);
    (this.open ??= new WriteSet()).addTags(tags);
    return true;
  }

  beforeCommit(request: Request): void {
    this.guard(request);
  }

  /**
   * Rule 2: before a message is sent, closes the tags of everything that it may commit. Such a message is a Query, a Sync,
   * or, in a batch sent before its Sync, a COMMIT; that batch may write more afterwards.
   * @returns a guard of all undecided writes; undefined: nothing to close, or nothing new since the request's last guard
   */
  guard(request: Request): WriteGuard | undefined {
    const { undecided, session } = this;
    if (undecided === undefined || !(request.isComplete || request.planned.mayCommit) || !request.form.executes)
      return undefined;
    if (request.attempt.guard !== undefined && request.attempt.guardedWrites === undecided.extent) return undefined;
    const isOpenTransaction = session.status !== TxStatus.Idle && session.inFlight.length === 0;
    if (isOpenTransaction && !request.planned.mayCommit) return undefined;
    const guard = this.closeAll();
    if (guard === undefined) return undefined;
    request.attempt.guardedWrites = undecided.extent;
    addGuard(request, guard);
    return guard;
  }

  /** Closes the tags of all undecided writes. @returns undefined: there are none */
  private closeAll(): WriteGuard | undefined {
    const { undecided } = this;
    const { services, database, concerns, server } = this.session;
    if (undecided === undefined || undecided.isEmpty) return undefined;
    const prefix = database.tagPrefix() ?? anyDatabase;
    const isNamed = prefix !== anyDatabase;
    undecided.knownBy(database.topology.catalog());
    const tags = [...undecided.tags];
    if (undecided.changesCatalog) tags.push(`${prefix}cat`);
    if (undecided.changesDefaults) tags.push(`${prefix}def`);
    // Other Weirs can find out what became of a write only if they know its database.
    const backend = isNamed ? server : undefined;
    return services.cache.close(tags, undecided.all || !isNamed, prefix, concerns.freshness.seen, backend);
  }

  /* ---- what the server says ---- */

  completed(
    request: Request,
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
    const hasMore = facts?.kind === 'unknown' || request.attempt.statementIndex !== plan?.facts.statements.length;
    if (!this.happened(request, event)) return;
    request.attempt.openFrom = isQuery ? request.plans.length - Number(hasMore) : behind(request, plan);
  }

  failed(request: Request): void {
    if (this.phase === 'block' || this.phase === 'failed') this.phase = 'failed';
    else this.happened(request, mayHaveCommitted(request) ? 'program error' : 'error');
  }

  /** @returns true if the event ended a transaction, so that everything before it in the request is decided */
  private happened(request: Request, event: TransactionEvent): boolean {
    const [next, fate] = after(this.phase, event);
    this.phase = next;
    if (fate === 'open') return false;
    if (fate === 'committed') this.acknowledge(request);
    // What a procedure wrote after its own commit is decided later.
    if (event === 'program' || event === 'program error') return false;
    this.open = undefined;
    return true;
  }

  /**
   * Something is committed, but ReadyForQuery may come much later: from now on no session reads older data from a
   * replica. The tags stay closed.
   */
  private acknowledge(request: Request): void {
    request.attempt.hasCommitted = true;
    request.attempt.guard ??= this.closeAll();
    const { ticker } = this.session.database.topology;
    request.attempt.guard?.acknowledged(ticker.next(), ticker);
    this.session.holdAnswers(request.attempt.guard?.knownToWorkers);
  }

  /* ---- ReadyForQuery ---- */

  /** Bumps the tags of what the request has committed; keeps what is still open. */
  readyForQuery(request: Request, status: number): void {
    const [next, fate] = after(this.phase, readyEvent(status));
    this.phase = next;
    // A batch without Execute decides nothing.
    if (fate === 'committed' && request.form.executes) request.attempt.hasCommitted = true;
    if (this.undecided === undefined && request.attempt.guard === undefined) return;
    if (fate === 'open') this.keepOpen(request);
    else this.open = undefined;
    if (request.attempt.hasCommitted) this.committed(request);
    else request.attempt.guard?.rolledBack();
    if (this.session.inFlight.length === 0) this.undecided = this.open;
  }

  private keepOpen(request: Request): void {
    if (!request.form.executes) return;
    for (let at = request.attempt.hasRepeated ? 0 : request.attempt.openFrom; at < request.plans.length; at++) {
      const plan = request.plans[at] as Plan;
      if (isWrite(plan)) (this.open ??= new WriteSet()).add(plan);
    }
  }

  private committed(request: Request): void {
    const { undecided } = this;
    const { database, concerns, services } = this.session;
    const { topology } = database;
    undecided?.knownBy(topology.catalog());
    const isMore = undecided?.all === true && (request.attempt.guardedWrites & everything) === 0;
    if (request.attempt.guard === undefined || isMore) {
      const guard = this.closeAll();
      if (guard !== undefined) addGuard(request, guard);
    }
    request.attempt.guard?.committed(topology.ticker.next(), topology.ticker);
    this.session.holdAnswers(request.attempt.guard?.knownToWorkers);
    concerns.freshness.tokens.schema.wrote(topology.schema);
    if (undecided?.changesCatalog !== true) return;
    this.ddlAtMs = services.nowMs();
    services.book.ddlDone();
    topology.catalogChanged();
    if (undecided.changesDefaults) database.defaultsChanged();
  }

  /* ---- the server is gone ---- */

  /** The open transaction was lost with its server. */
  transactionLost(status: number): void {
    this.phase = phaseOf(status);
    this.open = undefined;
    if (this.session.inFlight.length === 0) this.undecided = undefined;
  }

  /* ---- hand-over ---- */

  holdsUp(): string | undefined {
    return this.hasUndecided ? 'the outcome of what it has written' : undefined;
  }

  /** DDL a moment ago: the other process may not have heard of it yet. */
  pack(): { readonly hasJustChangedCatalog: true } | undefined {
    if (this.ddlAtMs === undefined || this.session.services.nowMs() - this.ddlAtMs > ddlToldMs) return undefined;
    return { hasJustChangedCatalog: true };
  }

  unpack(packed: unknown): void {
    const fields = new Fields('the writes', packed, ['hasJustChangedCatalog']);
    if (!fields.flag('hasJustChangedCatalog')) return;
    this.ddlAtMs = this.session.services.nowMs();
    this.session.services.book.catalogChanged();
    this.session.database.topology.catalogChanged();
  }

  /** The outcome of requests in flight is decided when the backend has exited. */
  serverLost(): void {
    const { undecided } = this;
    const { server, inFlight, database, services } = this.session;
    if (server === undefined) return;
    const { topology } = database;
    for (let i = 0; i < inFlight.length; i++) {
      const { guard } = (inFlight.at(i) as Request).attempt;
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

/** Called before sending, because the session may end during the request, and a rollback undoes none of this. */
function noteTraces(server: ServerConnection, { isSuspect, pins }: SessionEffects): void {
  if (isSuspect) server.sessionState.isSuspect = true;
  // A library cannot be unloaded: the next client would have it, too.
  if (pins.includes('LOAD')) server.isCloseNeeded = true;
}

function addGuard(request: Request, guard: WriteGuard): void {
  request.attempt.guard = request.attempt.guard === undefined ? guard : bothGuards(request.attempt.guard, guard);
}

function isPlain(kind: StatementFacts['kind']): boolean {
  return kind === 'select' || kind === 'insert' || kind === 'update' || kind === 'delete';
}

/** Index of the plan after `plan`; only plans from `openFrom` on are searched. */
function behind(request: Request, plan: Plan | undefined): number {
  return plan === undefined
    ? request.attempt.openFrom
    : Math.max(request.attempt.openFrom, request.placeOf(plan, request.attempt.openFrom) + 1);
}
