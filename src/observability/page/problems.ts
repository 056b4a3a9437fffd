/**
 * What is wrong, in sentences, worst first: the head of the page. Who is called at night reads this and nothing else; it must not
 * cry wolf. Made of the same figures as /readyz and the metrics. Used by snapshot.ts.
 */
import type { BudgetFigures } from '../../budgets/types.ts';
import type { PoolStats } from '../../pool/types.ts';
import type { NodeState } from '../../topology/types.ts';
import { readiness } from '../readiness.ts';
import type { ProcessFigures, ServingState, StatsSources } from '../types.ts';
import type { Problem, Traffic } from './types.ts';

export interface ProblemFigures {
  readonly sources: StatsSources;
  readonly pools: readonly PoolStats[];
  readonly process: ProcessFigures;
  readonly serving: ServingState;
  readonly traffic: Traffic | null;
  /** Monotonic. */
  readonly nowMs: number;
}

/** Clients of a pooler wait now and then; for so long, their users notice. */
const noticedMs = 100;
const badMs = 1_000;
/** Of the time: the event loop is the one thing that cannot be had twice without another worker. */
const busyShare = 0.9;
const mostProblems = 20;

export function problemsOf(figures: ProblemFigures): Problem[] {
  const found = [
    ...readinessProblems(figures),
    ...trafficProblems(figures),
    ...figures.pools.flatMap(poolProblems),
    ...nodeProblems(figures),
    ...budgetProblems(figures.sources),
    ...weirProblems(figures),
  ];
  const sorted = [...found.filter(({ level }) => level === 'bad'), ...found.filter(({ level }) => level === 'warn')];
  if (sorted.length <= mostProblems) return sorted;
  const more = `${sorted.length - mostProblems + 1} more`;
  return [
    ...sorted.slice(0, mostProblems - 1),
    { level: 'warn', section: 'weir', what: more, why: '/readyz lists them' },
  ];
}

/** "shop: its server has no such database" as what and why. */
function split(text: string): { what: string; why: string } {
  const at = text.indexOf(': ');
  return at < 0 ? { what: text, why: '' } : { what: text.slice(0, at), why: text.slice(at + 2) };
}

function readinessProblems({ sources, serving }: ProblemFigures): Problem[] {
  const { reasons, notes } = readiness(sources, serving);
  const of = (level: Problem['level'], text: string): Problem => ({ level, section: sectionOf(text), ...split(text) });
  return [...reasons.map((text) => of('bad', text)), ...notes.map((text) => of('warn', text))];
}

function sectionOf(text: string): Problem['section'] {
  if (text.startsWith('database ')) return 'databases';
  if (text.startsWith('Redis ')) return 'cache';
  return /^(Weir|worker|the supervisor) /.test(text) ? 'weir' : 'nodes';
}

function trafficProblems({ traffic }: ProblemFigures): Problem[] {
  if (traffic === null || traffic.unserved === 0) return [];
  const what = `${traffic.unserved} statements per second fail`;
  return [{ level: 'bad', section: 'charts', what, why: 'no server could serve them, or Weir refused them' }];
}

const ms = (value: number): string => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);

function poolProblems(pool: PoolStats): Problem[] {
  const name = `Pool ${pool.database}.${pool.user} on ${pool.node}`;
  const found: Problem[] = [];
  const add = (level: Problem['level'], what: string, why: string): void =>
    void found.push({ level, section: 'pools', what: `${name} ${what}`, why });
  if (pool.connectProblem !== undefined) add('bad', 'cannot connect', pool.connectProblem);
  if (pool.isOverloaded)
    add('bad', 'is overloaded', 'it has more work than it can do, and refuses those who wait longest');
  if (pool.waiting > 0 && pool.maxWaitMs >= noticedMs && !pool.isPaused) {
    const who = pool.waiting === 1 ? 'one client waits' : `${pool.waiting} clients wait`;
    add(pool.maxWaitMs >= badMs ? 'bad' : 'warn', `is full: ${who}, for up to ${ms(pool.maxWaitMs)}`, whyFull(pool));
  }
  return found;
}

function whyFull({ active, resetting, limit, max, login, lastResize }: PoolStats): string {
  const used = `${active + resetting} of ${limit} connections are in use`;
  if (login > 0 && active + resetting + login <= limit) return `${used}, ${login} are being opened`;
  if (limit >= max) return `${used}, and it may not grow beyond ${max} (max_pool_size, or what the server can spare)`;
  return lastResize === undefined ? used : `${used}; last resize: ${lastResize.why}`;
}

function nodeProblems({ sources, nowMs }: ProblemFigures): Problem[] {
  /** Many databases can have the same nodes. */
  const found = new Map<string, Problem>();
  for (const topology of sources.topologies()) {
    const { nodes, primary } = topology.snapshot();
    for (const node of nodes) for (const problem of problemsOfNode(node, nowMs)) found.set(problem.what, problem);
    if (primary === undefined && nodes.some(({ isUp }) => isUp) && topology.isSettled !== false) {
      const why = 'no node says that it is one: writes wait; a failover may be under way';
      found.set(`no primary ${topology.database}`, {
        ...{ level: 'bad', section: 'nodes', what: `Database ${topology.database} has no primary`, why },
      });
    }
  }
  return [...found.values()];
}

function problemsOfNode(node: NodeState, nowMs: number): Problem[] {
  const { name, role, isUp, problem, ejectedUntilMs, circuit = 'closed', circuitWhy, isLagging, lagMs } = node;
  const of = (level: Problem['level'], what: string, why: string): Problem => ({
    ...{ level, section: 'nodes', what: `Node ${name} ${what}`, why },
  });
  // Its words are among the notes of /readyz.
  if (!isUp && problem === undefined) return [of('bad', 'is down', 'it does not answer')];
  if (circuit !== 'closed') return [of('warn', 'gets no reads', circuitWhy ?? 'too many of its statements failed')];
  if (ejectedUntilMs > nowMs) return [of('warn', 'is left out for a while', 'connections to it failed')];
  if (role === 'replica' && isLagging === true) {
    const lag = Number.isFinite(lagMs) ? `is ${ms(lagMs)} behind` : 'is behind, nobody knows how far';
    return [of('warn', lag, 'more than max_replica_lag: other nodes serve its reads')];
  }
  return [];
}

function budgetProblems(sources: StatsSources): Problem[] {
  const shown = (budget: BudgetFigures): Problem[] => {
    const { database, budget: name, objective, state, why, actions = [] } = budget;
    if (state !== 'burning' && state !== 'spent') return [];
    const done = actions.length > 0 ? `; in force: ${actions.join(', ')}` : '';
    const what = `Budget ${name} of ${database} (${objective}) is ${state}`;
    return [{ level: state === 'spent' ? 'bad' : 'warn', section: 'databases', what, why: `${why}${done}` }];
  };
  return Array.from(sources.budgets()).flatMap(shown);
}

function weirProblems({ sources, process }: ProblemFigures): Problem[] {
  const found: Problem[] = [];
  const add = (level: Problem['level'], what: string, why: string): void =>
    void found.push({ level, section: 'weir', what, why });
  for (const number of sources.whole?.silent ?? [])
    add('bad', `Worker ${number} does not answer`, 'the figures are without it; the log says more');
  const { state, limitBytes, limitFrom, waitingClients } = sources.memory();
  if (state !== 'normal') {
    const done = state === 'critical' ? 'clients that hold most are ended' : 'caches shrink, new clients wait';
    const waits = waitingClients > 0 ? ` (${waitingClients} wait)` : '';
    const limit = `${Math.round(limitBytes / 1024 ** 2)} MB, from ${limitFrom}`;
    add(state === 'critical' ? 'bad' : 'warn', `Memory is ${state}`, `${done}${waits}; the limit is ${limit}`);
  }
  if (process.busy.average >= busyShare)
    add('warn', 'Weir itself is busy', `${Math.round(process.busy.average * 100)} % of a core: more workers may help`);
  return found;
}
