import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

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

export default defineConfig({
  test: {
    // Unless told, vitest leaves one core idle: half of a small machine.
    maxWorkers: availableParallelism(),
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
