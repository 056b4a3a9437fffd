/**
 * Limits for the tests of this room: as a configuration file has them, and a limiter on a clock that the test moves.
 */
import { limitRules } from '../../src/config/limits.ts';
import { Limiter, type LimiterOptions } from '../../src/limits/limiter.ts';
import type { Limit, Who } from '../../src/limits/types.ts';
import { createManualClock, type ManualClock } from '../../src/util/clock.ts';

export function rules(...list: readonly object[]): readonly Limit[] {
  const parsed = limitRules().parse(list);
  if ('refused' in parsed) throw new Error(parsed.refused);
  return parsed.value;
}

export const who = (user = 'alice', database = 'shop', address: string | undefined = '10.1.2.3'): Who => ({
  user,
  database,
  address,
});

export interface Rig {
  readonly limiter: Limiter;
  readonly clock: ManualClock;
  readonly lines: string[];
  /** One statement of this client: undefined, or the refusal as text. */
  run(client?: Who, statements?: number): string | undefined;
  connect(client?: Who): string | undefined;
}

export function limiterOf(list: readonly object[], options: Partial<LimiterOptions> = {}): Rig {
  const clock = createManualClock(1_000);
  const lines: string[] = [];
  const log: LimiterOptions['log'] = (_level, event, message) => void lines.push(`${event}: ${message}`);
  const { nowMs } = clock;
  const limiter = new Limiter(rules(...list), { nowMs, epochMs: nowMs, log, ...options });
  return {
    limiter,
    clock,
    lines,
    run: (client = who(), count = 1) => limiter.take(limiter.accountOf(client, undefined), count)?.message,
    connect: (client = who()) => limiter.connect(client)?.message,
  };
}
