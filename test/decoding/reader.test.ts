/**
 * The reader against a primary whose commits are in the WAL before others see them, and whose answers and messages take their time:
 * whatever is proven has been told, and nothing is told before it is visible.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PublicationChanged } from '../../src/decoding/publication.ts';
import { Reader } from '../../src/decoding/reader.ts';

const table = 7;

interface Commit {
  readonly xid: number;
  readonly lsn: number;
  /** When others see it. */
  readonly visibleAtMs: number;
  toldAtMs: number | undefined;
}

class FakePrimary {
  readonly commits: Commit[] = [];
  readonly proofs: number[] = [];
  version = '1';
  position = 0;
  heard = 0;
  reader!: Reader;
  isSilent = false;
  isPrimary = true;
  private lsn = 100;
  private nextXid = 1_000;
  private sent = 0;
  private readonly random: () => number;

  constructor(seed: number) {
    let state = seed;
    this.random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
  }

  readonly later = (maxMs: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, this.random() * maxMs));

  commit(): void {
    const visibleAtMs = performance.now() + this.random() * 300;
    this.commits.push({ xid: this.nextXid++, lsn: ++this.lsn, visibleAtMs, toldAtMs: undefined });
  }

  readonly ask = async (sql: string): Promise<(string | null)[][]> => {
    await this.later(30);
    const rows = this.answer(sql);
    await this.later(30);
    return rows;
  };

  private answer(sql: string): (string | null)[][] {
    if (sql.includes('server_version_num')) return [['160000']];
    if (sql.includes('pg_current_snapshot')) return [[this.snapshot(), String(this.lsn)]];
    if (sql.includes('puballtables')) return [['0', '1']];
    if (sql.includes('concat_ws')) return [[this.version]];
    if (sql.includes('string_agg')) return [];
    if (sql.includes('relispartition')) return [[String(table), String(table), '1']];
    return [['0']];
  }

  private snapshot(): string {
    const now = performance.now();
    const running = this.commits.filter(({ visibleAtMs }) => visibleAtMs > now).map(({ xid }) => xid);
    return `${running[0] ?? this.nextXid}:${this.nextXid}:${running.join(',')}`;
  }

  askPosition(): void {
    if (!this.isSilent) void this.later(100).then(() => this.send());
  }

  /** Sends some of what is in the WAL. */
  send(): void {
    this.heard++;
    const until = this.sent + Math.ceil(this.random() * (this.commits.length - this.sent));
    for (; this.sent < until; this.sent++) this.reader.committed(this.commits[this.sent]!.xid, new Set([table]));
    this.position = this.sent === this.commits.length ? this.lsn : this.commits[this.sent]!.lsn - 1;
    this.reader.reached();
  }

  /** Everything that is visible counts as told. */
  wrote(): void {
    const now = performance.now();
    for (const commit of this.commits) if (commit.visibleAtMs <= now) commit.toldAtMs ??= now;
  }
}

function readerOf(primary: FakePrimary): Reader {
  const stream = {
    get position() {
      return primary.position;
    },
    get heard() {
      return primary.heard;
    },
    askPosition: () => primary.askPosition(),
    createSlot: () => primary.later(500),
    start: () => primary.later(50),
  };
  primary.reader = new Reader({
    publication: 'weir',
    slot: 's',
    ask: primary.ask,
    stream,
    clock: { nowMs: () => performance.now() },
    proofEveryMs: 200,
    isPrimary: () => primary.isPrimary,
    wrote: (relations) => {
      expect(relations === undefined || relations.has(table)).toBe(true);
      primary.wrote();
      return primary.later(20);
    },
    proven: (atMs) => {
      primary.proofs.push(atMs);
      const missing = primary.commits.filter((each) => each.visibleAtMs <= atMs && each.toldAtMs === undefined);
      expect(missing).toEqual([]);
    },
  });
  return primary.reader;
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

describe.each(Array.from({ length: 40 }, (_, i) => i + 1))('schedule %i', (seed) => {
  test('what is proven has been told, and each commit is told soon after it is visible', async () => {
    const primary = new FakePrimary(seed);
    const reader = readerOf(primary);
    const begun = reader.begin();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await begun).toEqual(new Set([table]));
    const over = reader.read();
    let problem: unknown;
    over.catch((error: unknown) => (problem = error));
    for (let i = 0; i < 100; i++) {
      if (i % 3 !== 0) primary.commit();
      await vi.advanceTimersByTimeAsync(i % 7 === 0 ? 400 : 20);
      if (i % 4 === 0) primary.send();
    }
    await vi.advanceTimersByTimeAsync(5_000);
    expect(problem).toBeUndefined();
    expect(primary.commits.filter(({ toldAtMs }) => toldAtMs === undefined)).toEqual([]);
    expect(primary.proofs.length).toBeGreaterThan(10);
    expect(performance.now() - primary.proofs.at(-1)!).toBeLessThan(1_000);
    reader.stop();
    await vi.advanceTimersByTimeAsync(1_000);
    await over;
  });
});

async function reading(): Promise<{ primary: FakePrimary; failed: Promise<unknown> }> {
  const primary = new FakePrimary(1);
  const reader = readerOf(primary);
  const begun = reader.begin();
  await vi.advanceTimersByTimeAsync(3_000);
  await begun;
  const failed = reader.read().then(
    () => undefined,
    (error: unknown) => error,
  );
  await vi.advanceTimersByTimeAsync(1_000);
  return { primary, failed };
}

test('a publication that has changed proves nothing any more', async () => {
  const { primary, failed } = await reading();
  primary.version = '2';
  const sinceMs = performance.now();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await failed).toBeInstanceOf(PublicationChanged);
  expect(primary.proofs.every((atMs) => atMs <= sinceMs)).toBe(true);
});

test('a server that is not the primary any more proves nothing', async () => {
  const { primary, failed } = await reading();
  primary.isPrimary = false;
  const sinceMs = performance.now();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(String(await failed)).toMatch(/another server is the primary/);
  expect(primary.proofs.every((atMs) => atMs <= sinceMs)).toBe(true);
});

test('a server that says nothing is given up', async () => {
  const { primary, failed } = await reading();
  primary.isSilent = true;
  primary.commit();
  await vi.advanceTimersByTimeAsync(40_000);
  expect(String(await failed)).toMatch(/no word from the server for 30 s/);
});
