// npm run check: the quick part of npm test (types, lint, unit tests), for before each commit.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAndRunUnitTests } from './lib/checks.mjs';
import { installPackages } from './lib/install.mjs';
import { Tally } from './lib/tally.mjs';

const tally = new Tally();
if (await installPackages()) {
  const dir = mkdtempSync(join(tmpdir(), 'weir-check-'));
  try {
    await checkAndRunUnitTests(tally, dir, { isQuick: true });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
} else {
  tally.check('npm packages', false, 'could not be installed');
}
process.exitCode = tally.finish();
