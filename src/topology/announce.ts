/**
 * Logs what changed between two snapshots, one line per change. Decides nothing. Called by topology.ts.
 */
import { NO_LOGIN } from './server-connector.ts';
import type { NodeState, TopologySnapshot } from './types.ts';

export type TopologyLog = (level: 'debug' | 'info' | 'warn' | 'error', event: object, message: string) => void;

export function announce(before: TopologySnapshot, after: TopologySnapshot, log: TopologyLog): void {
  const { database, epoch } = after;
  if (before.epoch !== after.epoch && after.primary !== undefined) {
    const { name, timeline } = after.primary;
    const event = { event: 'new primary', database, node: name, before: before.primary?.name, timeline, epoch };
    log(before.epoch === 0 ? 'info' : 'warn', event, `${name} is the primary`);
  } else if (before.primary !== undefined && after.primary === undefined) {
    log('error', { event: 'no primary', database, before: before.primary.name }, `${database} has no primary`);
  }
  announceLogin(before, after, log);
  for (const [index, node] of after.nodes.entries()) {
    const was = before.nodes[index];
    if (was !== undefined) announceNode(database, was, node, log);
  }
}

/** One line for the whole database, not one per node. */
function announceLogin(before: TopologySnapshot, after: TopologySnapshot, log: TopologyLog): void {
  const { database } = after;
  const lacked = before.nodes.some(lacksLogin);
  const lacks = after.nodes.some(lacksLogin);
  if (lacks && !lacked) log('warn', { event: 'no monitor login', database }, NO_LOGIN);
  if (lacked && !lacks) log('info', { event: 'monitor login', database }, 'the monitor has a log-in now');
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
