/**
 * The memory of all processes of one Weir over time: of the first process, and of supervisors and workers through all their
 * generations. A restart replaces them, so what grows there is handed on from one to the next. Used by rolling.ts.
 */
import { median } from '../bench/numbers.ts';
import { partsOf, residentMb } from './processes.ts';
import type { Role } from './processes.ts';

/** Of the last third of the samples against the second: the first is that of caches that fill. */
const mayGrow = 1.25;
const mayGrowMb = 15;
/** Fewer prove nothing. */
const leastInThird = 6;
const roles: readonly Role[] = ['first', 'supervisor', 'worker'];

/** What it was and is, in MB, if that is growth. */
export interface Growth {
  readonly before: number;
  readonly after: number;
}

function thirdsOf(samples: readonly number[]): [number[], number[], number[]] {
  const third = Math.floor(samples.length / 3);
  return [samples.slice(0, third), samples.slice(third, 2 * third), samples.slice(samples.length - third)];
}

/** undefined: it does not grow, or there are too few samples to tell. */
export function growthOf(samples: readonly number[]): Growth | undefined {
  const [, second, last] = thirdsOf(samples);
  if (second.length < leastInThird) return undefined;
  const [before, after] = [median(second), median(last)];
  return after > before * mayGrow && after > before + mayGrowMb ? { before, after } : undefined;
}

export class WeirMemory {
  /** Of each role at each moment the largest, in MB. */
  private readonly samples = new Map<Role, number[]>(roles.map((role) => [role, []]));
  private readonly seen = new Map<Role, Set<number>>(roles.map((role) => [role, new Set()]));

  look(weirPid: number): void {
    const most = new Map<Role, number>();
    for (const { pid, role } of partsOf(weirPid)) {
      this.seen.get(role)?.add(pid);
      most.set(role, Math.max(most.get(role) ?? 0, residentMb(pid) ?? 0));
    }
    for (const [role, mb] of most) this.samples.get(role)?.push(mb);
  }

  /** One line for people. */
  figures(): string {
    const of = (role: Role): string => {
      const thirds = thirdsOf(this.samples.get(role) ?? []);
      const medians = thirds.map((values) => (values.length === 0 ? '-' : median(values).toFixed(0)));
      return `${role} (${this.seen.get(role)?.size ?? 0} processes) ${medians.join(', ')}`;
    };
    return `memory in MB, by thirds of the time: ${roles.map(of).join('; ')}`;
  }

  problems(): string[] {
    return roles.flatMap((role) => {
      const growth = growthOf(this.samples.get(role) ?? []);
      if (growth === undefined) return [];
      return [`the memory of ${role} grows: ${growth.before.toFixed(0)} MB, then ${growth.after.toFixed(0)} MB`];
    });
  }
}
