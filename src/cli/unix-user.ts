/**
 * The setting `user`: Weir that was started as root goes on as another user of the system, before it opens a file or a socket.
 * Called by serve.ts.
 */
import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';

/** Node has it, but its types do not. */
type WithGroups = NodeJS.Process & { initgroups?(user: string, extraGroup: number): void };

/** @throws Error that says what is wrong */
export function becomeUser(name: string | undefined): void {
  if (name === undefined) return;
  if (process.getuid?.() !== 0) {
    const { username } = userInfo();
    if (username !== name) throw new Error(`user: only root can become ${name}; Weir was started as ${username}`);
    return;
  }
  const [uid, gid] = [idOf('-u', name), idOf('-g', name)];
  (process as WithGroups).initgroups?.(name, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

/** `id` knows the users of LDAP and the like, too. */
function idOf(which: '-u' | '-g', name: string): number {
  try {
    const text = execFileSync('id', [which, '--', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return Number(text.trim());
  } catch (error) {
    throw new Error(`user: there is no user ${name} on this system`, { cause: error });
  }
}
