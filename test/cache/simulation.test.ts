/**
 * The rules together: many interleavings of the simulated world show nothing wrong, and with any one rule taken out
 * something wrong soon shows. The second half is what gives the first its worth.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fullKey } from '../../src/cache/key.ts';
import { emptyTally } from './simulation-types.ts';
import type { Mutant, Scenario } from './simulation-types.ts';
import { explore } from './simulation.ts';

const alone: Scenario = { weirs: 1, steps: 400 };
const pair: Scenario = { weirs: 2, steps: 1_000 };
const lossy: Scenario = { ...pair, losesReader: true };
const dropping: Scenario = { ...pair, dropsMessages: true };
const partitioned: Scenario = { ...pair, steps: 2_000, losesAnybody: true, staysAway: true };
const muted: Scenario = { ...pair, mutesMessages: true };
const workers: Scenario = { weirs: 3, steps: 1_500 };
const stalled: Scenario = { ...workers, stallsChannels: true };
const killed: Scenario = { ...workers, kills: true };
const worst: Scenario = { ...workers, stallsChannels: true, kills: true };
const succeeded: Scenario = { ...workers, stallsChannels: true, succeeds: true };
const rough: Scenario = { ...pair, losesAnybody: true, dropsMessages: true };

beforeAll(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }));
afterAll(() => void vi.useRealTimers());

async function firstProblem(
  seeds: number,
  scenario: Scenario,
  mutant: Mutant = {},
  tally = emptyTally(),
): Promise<string | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    const problem = await explore(seed, scenario, mutant, tally);
    if (problem !== undefined) return `seed ${seed}: ${problem}`;
  }
  return undefined;
}

describe('nothing is wrong', () => {
  it.each([
    ['in one Weir: everything acknowledged is seen by everybody', alone, 100],
    ['in two Weirs over Redis', pair, 80],
    ['when a Weir loses Redis now and then', lossy, 80],
    ['when messages get lost', dropping, 80],
    ['when one of them is cut off for long', partitioned, 80],
    ['when only the messages do not arrive', muted, 80],
    ['when everybody loses everything, also in the middle of writes', rough, 80],
    ['in three workers over their supervisor', workers, 40],
    ['when channels to the supervisor stall', stalled, 40],
    ['when another supervisor takes over between any two messages', succeeded, 60],
    ['when workers are killed between any two messages', killed, 80],
    ['when channels stall and workers are killed', worst, 80],
  ] as const)('%s', async (_name, scenario, seeds) => {
    const tally = emptyTally();
    expect(await firstProblem(seeds, scenario, {}, tally)).toBeUndefined();
    expect(tally.writes).toBeGreaterThan(seeds * 5);
    expect(tally.stores).toBeGreaterThan(seeds * 3);
    expect(tally.hits).toBeGreaterThan(seeds * 5);
    if (scenario.weirs === 2) expect(tally.hitsSecondLevel).toBeGreaterThan(seeds / 5);
  });
});

describe('every rule is needed', () => {
  const always = (): boolean => true;
  it.each<[string, Scenario, Mutant]>([
    ['1: stamps read after the query', alone, { asksForStampsAfterQuery: true }],
    ['1: stamps not checked', alone, { parts: { isCurrent: always } }],
    ['2: no close', alone, { neverCloses: true }],
    ['2: bump before COMMIT', alone, { bumpsBeforeCommit: true }],
    ['2: unknown taken for rolled back', alone, { takesUnknownForRolledBack: true }],
    ['3: a lagging replica fills', pair, { ignoresNeededLsn: true }],
    // Who waited is checked like any hit, so both have to go before a late joiner gets an answer from before the write.
    ['4: flights joined whatever the stamps', alone, { parts: { mayJoin: always, isCurrent: always } }],
    ['5: level 1 kept over a lost connection', lossy, { parts: { keepsTrust: true } }],
    ['5: gaps in the messages ignored', dropping, { parts: { ignoresGaps: true } }],
    ['14: answers shown without one', partitioned, { parts: { ignoresLease: true, keepsTrust: true } }],
    ['14: a lease taken although a Weir is missing', partitioned, { parts: { ignoresMissing: true } }],
    ['16: a write that cannot be announced does not wait', partitioned, { parts: { ignoresOthersLeases: true } }],
    ['15: a lease taken before what was published has arrived', muted, { parts: { ignoresUnheard: true } }],
    ['9: settings not in the key', alone, { parts: { fullKey: (key) => fullKey({ ...key, settings: '' }) } }],
    ['12: what a session has read is forgotten', pair, { parts: { ignoresFreshness: true } }],
  ])('%s', async (_name, scenario, mutant) => {
    expect(await firstProblem(600, scenario, mutant)).toBeDefined();
  });
});
