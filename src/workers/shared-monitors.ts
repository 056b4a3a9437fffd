/**
 * The monitors of one of several workers. In the lead they are the real ones of topology/server-monitors.ts, else they are
 * asked for at the lead, through the supervisor; members are moved from one to the other when the lead changes. Nobody
 * takes the loss of a lead for the failure of a server. Made by app/.
 */
import type { NodeConfig, TlsSide } from '../config/config.ts';
import type { CatalogConnections } from '../topology/catalog-connections.ts';
import type { CatalogQuestion, SharedCatalogs } from '../topology/catalog-sharing.ts';
import type { Member, MemberOptions, Monitors } from '../topology/member.ts';
import { ProbeError } from '../topology/probe.ts';
import type { ProbeRow } from '../topology/samples.ts';
import type { ServerMonitors } from '../topology/server-monitors.ts';
import type { Clock } from '../util/clock.ts';
import type { SupervisorChannel } from './messages.ts';
import { MonitorHost, type HostedDatabases } from './monitor-host.ts';
import type { LeadAnswer, LeadQuestion, WatchMessage } from './monitor-messages.ts';
import { LeadLost, RemoteMember, type ToLead } from './remote-member.ts';
import type { SharedTime } from './shared-time.ts';
import { SwitchedMember } from './switched-member.ts';

export interface SharedMonitorsParts {
  readonly channel: Pick<SupervisorChannel, 'on' | 'tell' | 'ask'>;
  readonly time: SharedTime;
  /** The monitors of this process. */
  readonly local: ServerMonitors;
  readonly databases: HostedDatabases;
}

/** Longest wait for the next lead, and for an answer. */
const patienceMs = 10_000;

/** As one who asks for catalogs. The supervisor numbers the other workers from 1. */
const thisWorker = 0;

interface Change {
  readonly happened: Promise<void>;
  happen(): void;
}

export class SharedMonitors implements Monitors, SharedCatalogs, ToLead {
  private readonly parts: SharedMonitorsParts;
  private readonly host: MonitorHost;
  private readonly members = new Set<SwitchedMember>();
  private readonly remote = new Map<number, RemoteMember>();
  private role: 'no lead' | 'led' | 'lead' = 'no lead';
  private term = 0;
  private lastId = 0;
  private change = newChange();

  constructor(parts: SharedMonitorsParts) {
    this.parts = parts;
    const { channel, databases, time } = parts;
    this.host = new MonitorHost(databases, time, (worker, news) =>
      channel.tell('fromLead', { worker, term: this.term, news }),
    );
    channel.on('lead', ({ term, isThisWorker }) => this.follow(term, isThisWorker));
    channel.on('toLead', ({ worker, message }) => {
      if (this.role === 'lead') this.host.receive(worker, message);
    });
    channel.on('askLead', ({ worker, question }) => this.host.answer(worker, question));
    channel.on('workerGone', (worker) => this.host.workerGone(worker));
    channel.on('fromLead', ({ term, news }) => {
      if (term === this.term) this.remote.get(news.id)?.receive(news);
    });
    channel.on('alive', () => true);
    channel.tell('follow', undefined);
  }

  get isLead(): boolean {
    return this.role === 'lead';
  }

  /** Number of the time for which this worker is the lead; undefined: it is not. */
  get leadTerm(): number | undefined {
    return this.isLead ? this.term : undefined;
  }

  /** This process watches the database for another worker. */
  holds(database: string): boolean {
    return this.host.holds(database);
  }

  /** A node has refused a client's user here: the lead may have borrowed that log-in. */
  loginRefused(database: string, node: NodeConfig, user: string): void {
    this.send({ kind: 'refused', database, node, user });
  }

  /* ---- members ---- */

  join(options: MemberOptions, tls: TlsSide, connectTimeoutMs: number, clock: Clock): Member {
    const member: SwitchedMember = new SwitchedMember({
      makeLocal: () => this.parts.local.join(options, tls, connectTimeoutMs, clock),
      makeRemote: () => this.makeRemote(options, clock),
      left: () => this.members.delete(member),
    });
    this.members.add(member);
    member.follow(this.isLead);
    return member;
  }

  catalogConnectionsAt(node: NodeConfig): CatalogConnections {
    return this.parts.local.catalogConnectionsAt(node);
  }

  private makeRemote(options: MemberOptions, clock: Clock): RemoteMember {
    const member = new RemoteMember(++this.lastId, options, clock, this.parts.time, this);
    this.remote.set(member.id, member);
    return member;
  }

  private follow(term: number, isLead: boolean): void {
    this.term = term;
    if (this.role === 'lead' && !isLead) this.host.clear();
    this.role = isLead ? 'lead' : 'led';
    for (const member of [...this.members]) member.follow(isLead);
    this.change.happen();
    this.change = newChange();
  }

  /* ---- see ToLead ---- */

  send(message: WatchMessage): void {
    if (this.role === 'led') this.parts.channel.tell('toLead', { term: this.term, message });
  }

  left(id: number): void {
    this.remote.delete(id);
  }

  async query(id: number, sql: string, values: readonly unknown[]): Promise<ProbeRow[]> {
    const answer = await this.askLead({ kind: 'query', id, sql, values }, patienceMs);
    return [...rowsOf(answer)];
  }

  /** Answered with 'no lead' if the lead is lost, or not known within `forMs`. */
  private async askLead(question: LeadQuestion, forMs: number): Promise<LeadAnswer> {
    const { change, term } = this;
    const lost: Promise<LeadAnswer> = change.happened.then(() => ({ kind: 'no lead' }));
    if (this.role !== 'led') return inTime(lost, forMs);
    const answer = await inTime(Promise.race([this.parts.channel.ask('askLead', { term, question }), lost]), forMs);
    return answer.kind === 'no lead' ? inTime(lost, forMs) : answer;
  }

  /* ---- see SharedCatalogs ---- */

  async askCatalog(
    database: string,
    node: NodeConfig,
    question: CatalogQuestion,
    signal: AbortSignal,
  ): Promise<readonly ProbeRow[]> {
    const { databases } = this.parts;
    for (;;) {
      if (signal.aborted) throw new ProbeError('stopped', false);
      if (this.isLead) return unlessAborted(databases.askCatalog(thisWorker, database, node, question), signal);
      const asked = this.askLead({ kind: 'catalog', database, node, question }, Infinity);
      const answer = await unlessAborted(asked, signal);
      // The next lead is asked again: its answer is not older than the question either.
      if (answer.kind !== 'no lead') return rowsOf(answer);
    }
  }

  releaseCatalog(database: string): void {
    if (this.isLead) this.parts.databases.releaseCatalog(thisWorker, database);
    else this.send({ kind: 'release', database });
  }
}

function rowsOf(answer: LeadAnswer): readonly ProbeRow[] {
  if (answer.kind === 'rows') return answer.rows;
  if (answer.kind === 'no lead') throw new LeadLost();
  const { problem, isStopped, isRefused } = answer.failure;
  throw new ProbeError(problem, isStopped, isRefused);
}

function newChange(): Change {
  let happen = (): void => undefined;
  const happened = new Promise<void>((resolve) => (happen = resolve));
  return { happened, happen };
}

/** 'no lead' after `forMs`. */
function inTime(answer: Promise<LeadAnswer>, forMs: number): Promise<LeadAnswer> {
  if (forMs === Infinity) return answer;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve({ kind: 'no lead' }), forMs);
    timer.unref();
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new ProbeError('stopped', false));
    signal.addEventListener('abort', abort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
