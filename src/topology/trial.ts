/**
 * Looks at a server before it becomes a node: whether it can be reached, lets the monitor in, and is a standby of the same
 * cluster. Nothing is ever read from one that is not. Made by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Member, MemberOptions } from './member.ts';
import type { NodeIdentity, ProbeSample } from './samples.ts';
import type { MonitorLogin } from './server-connector.ts';
import { SERVER_ID_SQL } from './standbys.ts';

/** What came out of it. */
export interface Tried {
  /** In words; undefined: it is a standby of the cluster. */
  readonly problem: string | undefined;
  /** It answered, so that another attempt will hardly help. */
  readonly isAnswer: boolean;
  /** See SERVER_ID_SQL. */
  readonly serverId?: unknown;
}

export interface TrialOptions {
  /** The name that clients use. */
  readonly database: string;
  readonly node: NodeConfig;
  readonly join: (options: MemberOptions) => Member;
  readonly logins: (node: NodeConfig) => readonly MonitorLogin[];
  readonly borrowedUsers: (node: NodeConfig) => readonly string[];
  /** The system identifier of the primary; undefined: not known, or the monitor may not see it. */
  readonly systemId: string | undefined;
}

const PATIENCE_MS = 8_000;
const INTERVAL_MS = 500;

/** Never rejects. */
export function tryNode(options: TrialOptions): Promise<Tried> {
  const { database, node, join, logins, borrowedUsers } = options;
  let identity: NodeIdentity | undefined;
  let member: Member | undefined;
  let isOver = false;
  return new Promise((resolve) => {
    const settle = (tried: Tried): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      // A member that has just been made may call back before join() has returned.
      setImmediate(() => void member?.leave());
      resolve(tried);
    };
    const late = `does not answer within ${PATIENCE_MS / 1000} s`;
    const timer = setTimeout(() => settle({ problem: late, isAnswer: false }), PATIENCE_MS);
    member = join({
      database,
      node,
      logins: () => logins(node),
      borrowedUsers: () => borrowedUsers(node),
      events: {
        connected: (found) => (identity = found),
        sending: () => undefined,
        sampled: (sample) => {
          const problem = problemOf(identity, sample, options.systemId);
          const isForeign = identity?.isMute === true || identity?.systemId !== options.systemId;
          if (problem !== undefined && isForeign) settle({ problem, isAnswer: true });
          else void idOf(member).then((serverId) => settle({ problem, isAnswer: true, serverId }));
        },
        failed: ({ problem }) => settle({ problem, isAnswer: false }),
        intervalMs: () => INTERVAL_MS,
      },
    });
  });
}

async function idOf(member: Member | undefined): Promise<unknown> {
  const rows = await member?.ask(SERVER_ID_SQL).catch(() => []);
  return rows?.[0]?.['id'];
}

function problemOf(
  identity: NodeIdentity | undefined,
  sample: ProbeSample,
  expected: string | undefined,
): string | undefined {
  if (identity?.isMute === true) return identity.limitation ?? 'does not let the monitor in';
  if (expected === undefined) return 'the system identifier of the primary is not known, so it cannot be compared';
  const { systemId } = identity ?? {};
  if (systemId === undefined) return 'the monitor may not see its system identifier (pg_control_system)';
  if (systemId !== expected) return `belongs to another cluster (system identifier ${systemId}, not ${expected})`;
  return sample.isInRecovery ? undefined : 'is not a standby (pg_is_in_recovery() is false)';
}
