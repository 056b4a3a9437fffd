/**
 * Weir in the test's own process, made with the same `createApp` that `weir serve` calls: for tests that look at both
 * ends at once, and for several Weirs in one process.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from '../../src/app.ts';
import { pgUrl } from './cluster-view.ts';
import type { UrlOptions } from './cluster-view.ts';
import { currentRun } from './run-dir.ts';
import { until } from './until.ts';
import { completeConfig } from './weir.ts';
import type { TestWeir, WeirConfig } from './weir.ts';

export class WeirInProcess implements TestWeir {
  readonly host = '127.0.0.1';
  readonly app: App;
  readonly port: number;
  readonly httpPort: number;

  constructor(app: App) {
    this.app = app;
    this.port = app.listenAddress().port;
    this.httpPort = app.httpAddress()?.port ?? 0;
  }

  url(options: UrlOptions = {}): string {
    return pgUrl(this, options);
  }

  adminUrl(): string {
    return pgUrl(this, { user: 'weir', database: 'weir' });
  }

  get ended(): Promise<void> {
    return this.app.ended;
  }

  /** Drains: what is in flight ends, then everything stops. */
  async drain(): Promise<void> {
    await this.app.drain();
  }

  /** Throws if somebody was stuck in it. */
  async stop(): Promise<void> {
    const stuck = this.app.stuck();
    await this.app.stop();
    const kinds = Object.entries(stuck).filter(([, times]) => times > 0);
    if (kinds.length > 0) throw new Error(`somebody was stuck in Weir: ${JSON.stringify(kinds)}`);
  }
}

/** Starts it on free ports (unless the configuration names them) and waits until it is ready. */
export async function startWeirInProcess(config: WeirConfig): Promise<WeirInProcess> {
  // Only when asked for: most test files need the harness and not all of Weir.
  const [{ createApp }, { loadAll }] = await Promise.all([
    import('../../src/app.ts'),
    import('../../src/cli/serve.ts'),
  ]);
  const dir = mkdtempSync(join(currentRun().dir, 'weir-'));
  const file = join(dir, 'weir.yaml');
  const complete = await completeConfig({ log: { level: 'error' }, ...config }, dir);
  writeFileSync(file, JSON.stringify(complete, null, 2), { mode: 0o600 });
  const load = (): ReturnType<typeof loadAll> => loadAll({ file, flags: {}, env: {} });
  const { result, users } = load();
  if ('problems' in result) throw new Error(`the configuration is refused:\n${result.problems.join('\n')}`);
  const app = await createApp(result.config, { users, reloadConfig: load });
  await app.start();
  const weir = new WeirInProcess(app);
  const ready = `http://127.0.0.1:${weir.httpPort}/readyz`;
  await until('Weir to be ready', async () => (await fetch(ready)).ok).catch(async (error) => {
    await app.stop();
    throw error;
  });
  return weir;
}
