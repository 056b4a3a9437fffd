/**
 * In the supervisor: which worker is the lead, which probes the servers for all, and what workers and lead say to each other.
 * A lead stays until it ends, or until its event loop has not run for two seconds: after a shorter stall, new connections
 * to all servers would cost more than they bring. Made by supervisor.ts.
 */
import type { Proven } from '../auth/types.ts';
import type { Log } from '../observability/types.ts';
import { Liveness } from './liveness.ts';
import type { WorkerChannel } from './messages.ts';
import type { LeadAnswer } from './monitor-messages.ts';
import { ProvenLogins } from './proven-logins.ts';
import { awake, longestSilenceMs } from './silent-workers.ts';

/** A worker, as far as it matters here. */
export interface Follower {
  /** Its place. The worker that replaces it has the same, and both are there for a while. */
  readonly number: number;
  readonly state: string;
  readonly channel: Pick<WorkerChannel, 'on' | 'tell' | 'ask' | 'heard'>;
}

/** For the next supervisor; survives a structured clone. */
export interface LeadState {
  readonly term: number;
  readonly lastId: number;
  /** The number of the lead among all(). */
  readonly lead: number | undefined;
  readonly logins: readonly Proven[];
}

/** What the supervisor before knew of a worker. */
export interface FollowerState {
  /** Its number among all(). */
  readonly id: number;
  readonly isFollower: boolean;
}

export class Lead {
  private readonly log: Log;
  private readonly liveness: Liveness;
  private readonly followers = new Set<Follower>();
  /** By the numbers under which the lead knows them; no two workers ever have the same. */
  private readonly byId = new Map<number, Follower>();
  private readonly logins = new ProvenLogins();
  private lead: Follower | undefined;
  private term = 0;
  private lastId = 0;
  /** The lead that the supervisor before had chosen, until it is attached here. */
  private expected: number | undefined;
  private isStopped = false;

  /** @param state of the supervisor whose place this one takes */
  constructor(log: Log, nowMs: () => number, state?: LeadState) {
    this.log = log;
    this.liveness = new Liveness(nowMs);
    if (state === undefined) return;
    this.term = state.term;
    this.lastId = state.lastId;
    this.expected = state.lead;
    for (const proven of state.logins) this.logins.add(proven);
  }

  state(): LeadState {
    const { term, lastId, lead, logins } = this;
    return { term, lastId, lead: lead === undefined ? undefined : this.idOf(lead), logins: [...logins.all()] };
  }

  stateOf(worker: Follower): FollowerState {
    return { id: this.idOf(worker) ?? 0, isFollower: this.followers.has(worker) };
  }

  private idOf(worker: Follower): number | undefined {
    for (const [id, each] of this.byId) if (each === worker) return id;
    return undefined;
  }

  /** Another supervisor goes on from here: nobody is told anything any more. */
  stop(): void {
    this.isStopped = true;
  }

  /** The place of the lead. */
  get number(): number | undefined {
    return this.lead?.number;
  }

  /** Does the worker with this channel lead, since that term? */
  isLeading(channel: Pick<Follower['channel'], 'on'>, term: number): boolean {
    return this.lead?.channel === channel && this.term === term;
  }

  /** The workers that can lead and be led, by numbers that no two workers ever have. */
  *all(): Iterable<readonly [id: number, worker: Follower]> {
    for (const entry of this.byId) if (this.followers.has(entry[1])) yield entry;
  }

  /**
   * @param since what the supervisor before knew of it
   * @returns call it when the process of the worker has ended
   */
  attach(worker: Follower, since?: FollowerState): () => void {
    const { channel } = worker;
    const id = since?.id ?? ++this.lastId;
    this.byId.set(id, worker);
    if (since?.isFollower === true) this.goOn(worker, id);
    channel.on('follow', () => this.join(worker));
    channel.on('toLead', ({ term, message }) => {
      if (term === this.term) this.lead?.channel.tell('toLead', { worker: id, message });
    });
    channel.on('askLead', async ({ term, question }): Promise<LeadAnswer> => {
      if (term !== this.term || this.lead === undefined) return { kind: 'no lead' };
      return this.lead.channel.ask('askLead', { worker: id, question }).catch((): LeadAnswer => ({ kind: 'no lead' }));
    });
    channel.on('fromLead', ({ worker: to, term, news }) => {
      if (worker === this.lead && term === this.term) this.byId.get(to)?.channel.tell('fromLead', { term, news });
    });
    channel.on('proven', (proven) => {
      this.logins.add(proven);
      for (const other of this.followers) if (other !== worker) other.channel.tell('proven', proven);
    });
    return () => this.gone(worker, id);
  }

  /** To the lead; lost if there is none. */
  tell(topic: 'decode', database: string): void {
    this.lead?.channel.tell(topic, database);
  }

  private goOn(worker: Follower, id: number): void {
    this.followers.add(worker);
    if (id !== this.expected) return;
    this.expected = undefined;
    this.lead = worker;
  }

  private gone(worker: Follower, id: number): void {
    if (this.isStopped) return;
    this.byId.delete(id);
    if (!this.followers.delete(worker)) return;
    if (worker === this.lead) this.choose();
    else this.lead?.channel.tell('workerGone', id);
  }

  /** Call several times a second. */
  sweep(): void {
    if (this.isStopped) return;
    this.liveness.sweep(this.channels());
    const { lead } = this;
    if (lead === undefined) return;
    // It stops its monitors at some moment before its process ends.
    if (lead.state === 'ending' && this.hasReady(lead)) return this.choose(lead);
    // When none is awake, another one would be no better.
    if (!this.isSilent(lead) || !this.hasAwake()) return;
    this.log('warn', 'lead_silent', `worker ${lead.number} does not answer: another one probes the servers`);
    this.choose(lead);
  }

  private *channels(): Iterable<Follower['channel']> {
    for (const { channel } of this.followers) yield channel;
  }

  /** For how long the event loop of the worker has not run, as far as is known. */
  silentMs({ channel }: Pick<Follower, 'channel'>): number {
    return this.liveness.silentMs(channel);
  }

  private isSilent(worker: Follower): boolean {
    return this.silentMs(worker) > longestSilenceMs;
  }

  private hasAwake(): boolean {
    for (const follower of this.followers) if (!this.isSilent(follower)) return true;
    return false;
  }

  private hasReady(except: Follower): boolean {
    for (const follower of this.followers) if (follower !== except && follower.state === 'ready') return true;
    return false;
  }

  private join(worker: Follower): void {
    for (const proven of this.logins.all()) worker.channel.tell('proven', proven);
    this.followers.add(worker);
    if (this.lead === undefined) this.choose();
    else worker.channel.tell('lead', { term: this.term, isThisWorker: false });
  }

  /** The lowest number that is awake and serves, or at least has started. */
  private choose(except?: Follower): void {
    const able = [...this.followers].filter((each) => each !== except).sort((a, b) => a.number - b.number);
    const among = awake(able, (each) => this.silentMs(each));
    this.lead = among.find(({ state }) => state === 'ready') ?? among[0];
    this.term++;
    if (this.lead === undefined) return;
    const { number } = this.lead;
    this.log('info', 'lead', `worker ${number} probes the servers for all`, { worker: number });
    // The lead first: what others say to it comes after.
    this.lead.channel.tell('lead', { term: this.term, isThisWorker: true });
    for (const follower of this.followers)
      if (follower !== this.lead) follower.channel.tell('lead', { term: this.term, isThisWorker: false });
  }
}
