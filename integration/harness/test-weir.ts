/**
 * A Weir for tests that do not mind where it runs: in the test's own process, or, with WEIR_TEST_WORKERS=3, as a process of
 * its own with so many workers.
 */
import { startWeirInProcess } from './in-process.ts';
import { merge, startWeir, workersOfTests } from './weir.ts';
import type { TestWeir, WeirConfig, WeirProcess } from './weir.ts';

export async function startTestWeir(config: WeirConfig): Promise<TestWeir> {
  if (workersOfTests() === undefined) return startWeirInProcess(config);
  const { level } = (config['log'] ?? {}) as { level?: string };
  // Those that are stuck are warned of.
  const hasWarnings = level !== undefined && level !== 'error';
  return startedAs(await startWeir(hasWarnings ? config : merge(config, { log: { level: 'warn' } })));
}

function startedAs(weir: WeirProcess): TestWeir {
  const { host, port, httpPort } = weir;
  return {
    host,
    port,
    httpPort,
    url: (options) => weir.url(options),
    adminUrl: () => weir.adminUrl(),
    ended: weir.exited,
    drain: () => weir.stop(),
    stop: () => weir.stopAtOnce(),
  };
}
