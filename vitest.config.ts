import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// Time limits are for what hangs, not for what is slow: a machine may be ten times slower than usual for a while.

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
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // Each worker has a cluster and a Redis of its own (integration/harness/global-setup.ts). Tests wait most of the time.
          maxWorkers: Math.min(availableParallelism(), 2),
          globalSetup: ['integration/harness/global-setup.ts'],
        },
      },
    ],
  },
});
