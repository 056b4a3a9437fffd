import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], testTimeout: 30_000 } },
      {
        test: {
          name: 'integration',
          include: ['integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // One cluster serves the whole run, and some files break it on purpose: one file at a time.
          fileParallelism: false,
          globalSetup: ['integration/harness/global-setup.ts'],
        },
      },
    ],
  },
});
