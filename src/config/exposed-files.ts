/**
 * Which of the files with passwords and keys every user of this machine can read. Looks at the modes of the files and of the
 * directories above them; changes nothing. Called by load.ts.
 */
import { realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from './config.ts';

/** Of others. */
const mayRead = 0o004;
const mayEnter = 0o001;

/** @param text of the file of the configuration */
export function exposedFiles(config: Config, file: string | undefined, text: string): string[] {
  const { auth, tls } = config;
  const found = [
    exposed('auth.file', auth.file, 'secrets of users'),
    exposed('tls.client.key', tls.client.key, 'a private key'),
    exposed('tls.server.key', tls.server.key, 'a private key'),
  ];
  if (passwordsIn(config).some((password) => text.includes(password) || text.includes(encodeURIComponent(password))))
    found.push(exposed('the configuration', file, 'passwords'));
  return found.flatMap((line) => line ?? []);
}

function exposed(what: string, file: string | undefined, content: string): string | undefined {
  const mode = file === undefined ? undefined : modeIfOpen(file);
  if (file === undefined || mode === undefined) return undefined;
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return `${what}: every user of this machine can read ${resolve(file)} (mode ${octal}), which has ${content}: chmod o-r`;
}

/** Undefined: others cannot read it, or there is no such file (of which something else speaks). */
function modeIfOpen(file: string): number | undefined {
  if (process.platform === 'win32') return undefined;
  try {
    const real = realpathSync(file);
    const { mode } = statSync(real);
    return (mode & mayRead) !== 0 && isOpen(dirname(real)) ? mode : undefined;
  } catch {
    return undefined;
  }
}

function isOpen(dir: string): boolean {
  const above = dirname(dir);
  return (statSync(dir).mode & mayEnter) !== 0 && (above === dir || isOpen(above));
}

function passwordsIn({ databases, cache, budget, httpInvalidateToken }: Config): string[] {
  const ofNodes = [...databases.values()].flatMap(({ primary, replicas }) =>
    [primary, ...replicas].map(({ password }) => password),
  );
  const others = [passwordOf(cache.redis), passwordOf(budget.redis), httpInvalidateToken];
  return [...ofNodes, ...others].filter((password) => !!password) as string[];
}

function passwordOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : decodeURIComponent(new URL(url).password);
}
