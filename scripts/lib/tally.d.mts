export class Tally {
  passed: number;
  failed: number;
  skipped: number;
  check(name: string, isGood: boolean, why?: string): void;
  vitest(name: string, report: string, exitCode: number): void;
  note(why: string): void;
  summary(): string;
  finish(): number;
}
