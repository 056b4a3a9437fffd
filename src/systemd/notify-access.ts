/**
 * Whether systemd takes what systemd-notify sends: that is not the main process of the unit, so the unit needs NotifyAccess=all.
 * With Type=notify alone, as in the units of PgBouncer's packages, systemd drops the messages, waits for "ready" in vain, and ends
 * Weir after TimeoutStartSec= without a word of why. Called by notify.ts.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

const askTimeoutMs = 5_000;

/** @param cgroups the contents of /proc/self/cgroup; undefined: it is not in a service of the system's systemd */
export function unitOf(cgroups: string): string | undefined {
  const line = cgroups.split('\n').find((each) => /^(?:0|\d+:name=systemd):/.test(each));
  const services = (line ?? '').split('/').filter((part) => part.endsWith('.service'));
  // A service of a user is below user@1000.service, and another systemd knows it.
  return services.length === 1 ? services[0] : undefined;
}

/** Resolves to what an operator must change; undefined: nothing, or it cannot be known. */
export async function droppedBecause(
  cgroups: () => string = () => readFileSync('/proc/self/cgroup', 'utf8'),
  ask: (unit: string) => Promise<string> = askSystemctl,
): Promise<string | undefined> {
  try {
    const unit = unitOf(cgroups());
    if (unit === undefined) return undefined;
    const access = (await ask(unit)).trim();
    if (access !== 'main' && access !== 'exec') return undefined;
    return `systemd does not hear that Weir is ready, and will end it: ${unit} has NotifyAccess=${access}; write NotifyAccess=all below [Service]`;
  } catch {
    return undefined;
  }
}

function askSystemctl(unit: string): Promise<string> {
  const args = ['show', '--property=NotifyAccess', '--value', '--', unit];
  return new Promise((resolve, reject) => {
    const child = execFile('systemctl', args, { timeout: askTimeoutMs, killSignal: 'SIGKILL' }, (error, out) => {
      if (error === null) resolve(out);
      else reject(error);
    });
    child.unref();
  });
}
