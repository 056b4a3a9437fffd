/**
 * The rules of auth.hba_file for a configuration. Called when it is checked (cli/serve.ts) and when it is put to use.
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

/** @throws Error with everything that is wrong */
export function accessOf(config: Config): Access | undefined {
  const loaded = loadAccessOf(config);
  if (loaded === undefined) return undefined;
  if ('problems' in loaded) throw new Error(loaded.problems.join('; '));
  return loaded.access;
}
