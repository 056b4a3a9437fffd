/** What resize.mode does with the figures of a pool: nothing, words, or a limit. */
import { describe, expect, test } from 'vitest';
import { StatementsAtOnce } from '../../src/pool/statements-at-once.ts';
import { AtOnceLoop, type LimitedPool, type ResizeMode } from '../../src/sizing/at-once-loop.ts';

class Scene {
  mode: ResizeMode = 'on';
  nowMs = 0;
  isBusy = false;
  readonly said: string[] = [];
  served = 0;
  readonly pool: LimitedPool;
  private readonly loop: AtOnceLoop;

  constructor(isSession = false) {
    const atOnce = new StatementsAtOnce();
    // As many run as may, of a hundred clients.
    atOnce.look = () => undefined;
    this.pool = {
      ...{ database: 'shop', user: 'app', node: 'db1', atOnce, isSession },
      statementEnded: () => void this.served++,
    };
    const take = atOnce.take.bind(atOnce);
    atOnce.take = () => ({ ...take(), running: Math.min(100, atOnce.limit), isHoldingBack: atOnce.isLimited });
    this.loop = new AtOnceLoop({
      pools: () => [this.pool],
      mode: () => this.mode,
      isBusy: () => this.isBusy,
      nowMs: () => this.nowMs,
      say: (_pool, message) => void this.said.push(message),
      onError: (error) => {
        throw error;
      },
    });
  }

  /** Eight cores: with more at once each takes longer, and a little is lost. */
  pass(windows: number): void {
    const { atOnce } = this.pool;
    for (let i = 0; i < windows; i++) {
      const running = Math.min(100, atOnce.limit);
      const count = Math.round((1_000 * Math.min(1, running / 8)) / (1 + 0.004 * Math.max(0, running - 8)));
      for (let j = 0; j < count; j++) atOnce.ended((running * 500) / count, 4, 0);
      this.nowMs += 500;
      this.loop.tick();
    }
  }
}

describe('resize.mode', () => {
  test('off: nothing is measured, limited or said', () => {
    const scene = new Scene();
    scene.mode = 'off';
    scene.pass(100);
    expect(scene.pool.atOnce).toMatchObject({ isMeasured: false, limit: Infinity });
    expect(scene.said).toEqual([]);
  });

  test('observe: says once a minute what it sees, and limits nothing', () => {
    const scene = new Scene();
    scene.mode = 'observe';
    scene.pass(240);
    expect(scene.pool.atOnce).toMatchObject({ isMeasured: true, limit: Infinity });
    expect(scene.said.length).toBe(2);
    expect(scene.said[0]).toMatch(
      /^statements take 1\d\.\d times as long as alone, with 100 at once: about \d at once may do as much \(resize\.mode = on would find out\)$/,
    );
  });

  test('on: finds the number, tells each change, and wakes those who wait when there are more', () => {
    const scene = new Scene();
    scene.pass(120);
    expect(scene.pool.atOnce.limit).toBeGreaterThanOrEqual(8);
    expect(scene.pool.atOnce.limit).toBeLessThanOrEqual(12);
    expect(scene.said[0]).toMatch(/^statements at once: 100 -> 70: with 70 at once 1\d\d % is done/);
    expect(scene.served).toBeGreaterThan(0);
  });

  test.each(['off', 'observe'] as const)('from on to %s: the limit is gone at once', (mode) => {
    const scene = new Scene();
    scene.pass(120);
    scene.mode = mode;
    scene.pass(1);
    expect(scene.pool.atOnce.limit).toBe(Infinity);
  });

  test('a pool of pool_mode = session has no limit', () => {
    const scene = new Scene(true);
    scene.pass(120);
    expect(scene.pool.atOnce).toMatchObject({ isMeasured: false, limit: Infinity });
  });

  test('while Weir itself is the bottleneck nothing is decided', () => {
    const scene = new Scene();
    scene.isBusy = true;
    scene.pass(120);
    expect(scene.pool.atOnce.limit).toBe(Infinity);
  });
});
