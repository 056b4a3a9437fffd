export class Tally {
  passed: number;
  failed: number;
  skipped: number;
  check(name: string, isGood: boolean, why?: string): void;
  vitest(name: string, report: string, exitCode: number): void;
  summary(): string;
  finish(): number;
}
