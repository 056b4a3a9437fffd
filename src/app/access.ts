/**
 * Loads the rules of auth.hba_file. Called when a configuration is checked (cli/serve.ts) and when it is applied.
 */
import type { Access, LoadedAccess } from '../auth/hba/load.ts';
import { loadAccess } from '../auth/hba/load.ts';
import type { Config } from '../config/config.ts';

/** undefined: auth.type is not hba. */
export function loadAccessOf({ auth, tls }: Config): LoadedAccess | undefined {
  const { type, hbaFile, identFile } = auth;
  if (type !== 'hba' || hbaFile === undefined) return undefined;
  return loadAccess({ hbaFile, identFile, canVerify: tls.client.ca !== undefined && tls.client.mode !== 'disable' });
}

/** @throws Error that lists every problem in the files */
export function accessOf(config: Config): Access | undefined {
  const loaded = loadAccessOf(config);
  if (loaded === undefined) return undefined;
  if ('problems' in loaded) throw new Error(loaded.problems.join('; '));
  return loaded.access;
}
