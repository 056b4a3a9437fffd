/**
 * Loads the rules of auth.hba_file, and says who may use the admin console. Called when a configuration is checked
 * (cli/serve.ts), when it is applied, and by parts.ts.
 */
import type { Access, LoadedAccess } from '../auth/hba/load.ts';
import { loadAccess } from '../auth/hba/load.ts';
import type { Config } from '../config/config.ts';
import { isPrivateSocket } from '../frontend/private-socket.ts';

/** undefined: auth.type is not hba. */
export function loadAccessOf({ auth, tls }: Config): LoadedAccess | undefined {
  const { type, hbaFile, identFile } = auth;
  if (type !== 'hba' || hbaFile === undefined) return undefined;
  const canVerify = tls.client.ca !== undefined && tls.client.mode !== 'disable';
  return loadAccess({ hbaFile, identFile, canVerify, isPgbouncer: auth.as === 'pgbouncer' });
}

/** @throws Error that lists every problem in the files */
export function accessOf(config: Config): Access | undefined {
  const loaded = loadAccessOf(config);
  if (loaded === undefined) return undefined;
  if ('problems' in loaded) throw new Error(loaded.problems.join('; '));
  return loaded.access;
}

/** undefined: the user may not use the admin console. */
export function consoleRoleOf(user: string, { auth }: Config): 'admin' | 'stats' | undefined {
  if (auth.adminUsers.includes(user)) return 'admin';
  return auth.statsUsers.includes(user) ? 'stats' : undefined;
}

/** Of a user who has logged in there; auth.console_user could only do so by the Unix socket. */
export function roleOnConsole(user: string, config: Config): 'admin' | 'stats' | undefined {
  return consoleRoleOf(user, config) ?? (user === config.auth.consoleUser ? 'admin' : undefined);
}

/** Whether the user comes in by the Unix socket without a password. */
export function isOwnConsoleUser(user: string, { auth, unixSocketDir, listen }: Config): boolean {
  return user === auth.consoleUser && unixSocketDir !== undefined && isPrivateSocket(unixSocketDir, listen.port);
}
