/**
 * Logs what changes in the snapshots of a topology, one line per change. A node that has not answered yet keeps the state that
 * was last told: a worker that starts, or comes to probe the servers, is no news of a server. Made by topology.ts.
 */
import { NO_LOGIN } from './server-connector.ts';
import type { NodeState, TopologySnapshot } from './types.ts';

export type TopologyLog = (level: 'debug' | 'info' | 'warn' | 'error', event: object, message: string) => void;

export class Announcer {
  private readonly log: TopologyLog;
  private before: TopologySnapshot;
  /** As last told. */
  private told: readonly NodeState[];
  private catalogProblem: string | undefined;

  constructor(snapshot: TopologySnapshot, log: TopologyLog) {
    this.log = log;
    this.before = snapshot;
    this.told = snapshot.nodes;
  }

  announce(after: TopologySnapshot): void {
    const { log, told } = this;
    const { database } = after;
    announcePrimary(this.before, after, log);
    const before = new Map(told.map((node) => [node.name, node]));
    const news = after.nodes.map((node) => newsOf(before.get(node.name) ?? unheard(node), node));
    announceLogin(database, told, news, log);
    for (const node of news) {
      const was = before.get(node.name) ?? unheard(node);
      announceNode(database, was, node, log);
      announceCircuit(database, was, node, log);
    }
    this.before = after;
    this.told = news;
  }

  /** Logs a problem once, however often the attempt is repeated. */
  catalogFailed(problem: string): void {
    if (problem === this.catalogProblem) return;
    this.catalogProblem = problem;
    this.log('warn', { event: 'catalog', database: this.before.database, problem }, problem);
  }

  catalogIsKnown(): void {
    this.catalogProblem = undefined;
  }
}

/** A node that was added while Weir runs, as if it had been told before it was heard of. */
const unheard = (node: NodeState): NodeState => ({ ...node, isUp: false, problem: undefined });

/** The state to be told. What an operator has done is, in any case. */
function newsOf(told: NodeState, node: NodeState): NodeState {
  if (node.isUnheard === true) return { ...told, isDraining: node.isDraining };
  return node.isLagUnproven === true && node.isUp ? { ...node, isLagging: told.isLagging === true } : node;
}

function announcePrimary(before: TopologySnapshot, after: TopologySnapshot, log: TopologyLog): void {
  const { database, epoch } = after;
  if (before.epoch !== after.epoch && after.primary !== undefined) {
    const { name, timeline } = after.primary;
    const event = { event: 'new primary', database, node: name, before: before.primary?.name, timeline, epoch };
    log(isOtherPrimary(before.primary, after.primary) ? 'warn' : 'info', event, `${name} is the primary`);
  } else if (before.primary !== undefined && after.primary === undefined) {
    log('error', { event: 'no primary', database, before: before.primary.name }, `${database} has no primary`);
  }
}

/** The first one that is found is no change; nor is it one if only its timeline could not be seen. */
function isOtherPrimary(before: NodeState | undefined, after: NodeState): boolean {
  if (before === undefined) return false;
  if (before.name !== after.name) return true;
  return before.timeline !== undefined && after.timeline !== undefined && before.timeline !== after.timeline;
}

/** One line for the whole database, not one per node. */
function announceLogin(
  database: string,
  before: readonly NodeState[],
  after: readonly NodeState[],
  log: TopologyLog,
): void {
  const lacked = before.some(lacksLogin);
  const lacks = after.some(lacksLogin);
  if (lacks && !lacked) log('warn', { event: 'no monitor login', database }, NO_LOGIN);
  if (lacked && !lacks) log('info', { event: 'monitor login', database }, 'the monitor has a log-in now');
}

/** The line of a node that is down has its reason, too; this one is for programs that follow the circuit. */
function announceCircuit(database: string, was: NodeState, node: NodeState, log: TopologyLog): void {
  const { name, circuit = 'closed', circuitWhy: reason = '' } = node;
  const before = was.circuit ?? 'closed';
  if (before === circuit && was.circuitSinceMs === node.circuitSinceMs) return;
  if (before === 'closed' && circuit === 'closed') return;
  const level = node.ejectedUntilMs > 0 ? 'warn' : 'info';
  log(
    level,
    { event: 'circuit', database, node: name, circuit, before, reason },
    `circuit of ${name} is ${circuit}: ${reason}`,
  );
}

const lacksLogin = ({ problem }: NodeState): boolean => problem === NO_LOGIN;

function announceNode(database: string, was: NodeState, node: NodeState, log: TopologyLog): void {
  const about = { database, node: node.name, role: node.role };
  if (was.isUp !== node.isUp) {
    if (node.isUp) log('info', { event: 'node up', ...about }, `${node.name} is up (${node.role})`);
    else log('warn', { event: 'node down', ...about, problem: node.problem }, `${node.name} is down: ${node.problem}`);
    if (!node.isUp || node.role !== 'primary') return;
  }
  if (was.isDraining !== node.isDraining) {
    const verb = node.isDraining ? 'is draining: it gets no new work' : 'takes work again';
    log('info', { event: node.isDraining ? 'drain' : 'undrain', ...about }, `${node.name} ${verb}`);
  }
  if (node.isUp && was.isLagging !== node.isLagging && node.role === 'replica') {
    const text = node.isLagging ? 'lags more than max_replica_lag' : 'has caught up';
    log(
      node.isLagging ? 'warn' : 'info',
      { event: node.isLagging ? 'lagging' : 'caught up', ...about },
      `${node.name} ${text}`,
    );
  }
  // For a replica that is up, the other lines already tell its problem; a primary that is up may still refuse the
  // monitor's log-in.
  const hasNoLine = (!node.isUp || node.role === 'primary') && !lacksLogin(node);
  if (was.problem !== node.problem && node.problem !== undefined && hasNoLine) {
    log('warn', { event: 'node problem', ...about, problem: node.problem }, `${node.name}: ${node.problem}`);
  }
}
