import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Time limits are for what hangs, not for what is slow: a machine may be ten times slower than usual for a while.

const realServers = {
  testTimeout: 300_000,
  hookTimeout: 300_000,
  // Each worker of vitest has a cluster and a Redis of its own (integration/harness/global-setup.ts). Tests wait most of the time.
  maxWorkers: Math.min(availableParallelism(), 2),
  globalSetup: ['integration/harness/global-setup.ts'],
};

/** What must be the same whether Weir is one process or several. All other files can be run like that, too: CONTRIBUTING.md. */
const withWorkers = [
  'routing',
  'cache',
  'cancels',
  'refused',
  'console',
  'metrics',
  'cli',
  'lifecycle',
  'drain',
  'session-defaults',
];

/** The files that take longest, by far: begun last, one of them would run alone while the other core has nothing to do. */
const longest = [
  'consistency-rules',
  'memory',
  'hand-over-differential',
  'differential',
  'read-only',
  'consistency',
  'nested-state',
  'crash',
  'restart-supervisor',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((name) => moduleId.endsWith(`/integration/${name}.test.ts`));
      return at === -1 ? longest.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    // Unless told, vitest leaves one core idle: half of a small machine.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], testTimeout: 300_000 } },
      {
        test: {
          name: 'integration',
          include: ['integration/**/*.test.ts'],
          ...realServers,
        },
      },
      {
        test: {
          name: 'workers',
          include: withWorkers.map((name) => `integration/${name}.test.ts`),
          env: { WEIR_TEST_WORKERS: process.env['WEIR_TEST_WORKERS'] ?? '3' },
          ...realServers,
        },
      },
    ],
  },
});
