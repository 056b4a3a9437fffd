// Cleans up after a process that died without doing so itself (kill -9, Ctrl-C, crash). It reads what to look after
// from its standard input, one per line: "pid N", "gone N", "dir PATH", "kept PATH". When that pipe closes, however it
// came about, it kills the processes and removes the directories that are still on its list. Started by
// integration/harness/run-dir.ts and by scripts/lib/run.mjs; plain JavaScript because Node 20 starts it directly.
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { processTree } from './processes.mjs';

const pids = new Set();
const dirs = new Set();

// The terminal sends Ctrl-C to the whole foreground group: this one stays until its parent is gone.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

function note(line) {
  const space = line.indexOf(' ');
  const rest = line.slice(space + 1);
  switch (line.slice(0, space)) {
    case 'pid':
      pids.add(Number(rest));
      break;
    case 'gone':
      pids.delete(Number(rest));
      break;
    case 'dir':
      dirs.add(rest);
      break;
    case 'kept':
      dirs.delete(rest);
      break;
  }
}

function cleanUp() {
  for (const pid of pids) {
    for (const victim of processTree(pid)) {
      try {
        process.kill(victim, 'SIGKILL');
      } catch {
        // Already gone.
      }
    }
  }
  for (const dir of dirs) {
    try {
      rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    } catch {
      // The next start sweeps what is left.
    }
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', note);
lines.on('close', cleanUp);
