/**
 * The log of one Weir during a run: how often which event of workers and restarts, and lines that must not be there: an error that
 * nobody expected, the death of a worker that nobody has killed, a client that a restart has cut. Used by rolling.ts.
 */

/** Whatever the faults. */
const never = new Set(['unexpected_error', 'stuck']);
/** When servers are well, and workers the only ones that die. */
const neverStrictly = new Set(['restart_cut', 'restart_failed', 'worker_killed', 'shutdown_cut']);
const counted = /"event":"(restart\w*|worker_\w+|lead\w*|shutdown_cut|unexpected_error|stuck)"/;

export class LogWatch {
  private readonly killed: ReadonlySet<number>;
  /** The harness keeps the end of what a Weir has written: lines are met again and again. They carry the time. */
  private readonly lines = new Set<string>();

  /** @param killed processes that were killed on purpose, now or later */
  constructor(killed: ReadonlySet<number>) {
    this.killed = killed;
  }

  /** @param output all that is kept. Call it more often than it is filled. */
  look(output: string): void {
    for (const line of output.split('\n')) if (counted.test(line) && line.endsWith('}')) this.lines.add(line);
  }

  /** How often which event. */
  figures(): string {
    const counts = new Map<string, number>();
    for (const line of this.lines) {
      const event = counted.exec(line)?.[1] ?? '';
      counts.set(event, (counts.get(event) ?? 0) + 1);
    }
    return [...counts].map(([event, count]) => `${event} ${count}`).join(', ');
  }

  problems(isStrict: boolean): string[] {
    return [...this.lines].filter((line) => this.isProblem(line, isStrict)).map((line) => line.slice(0, 1_000));
  }

  private isProblem(line: string, isStrict: boolean): boolean {
    const event = counted.exec(line)?.[1] ?? '';
    if (never.has(event)) return true;
    if (!isStrict) return false;
    if (event === 'worker_died') return !this.killed.has((JSON.parse(line) as { pid: number }).pid);
    return neverStrictly.has(event);
  }
}
