/** Single decisions about the connections of a server, each of which some failure in test/shares/schedules.test.ts stands for. */
import { describe, expect, it } from 'vitest';
import { decide, mostWeirs, reserved } from '../../src/shares/decide.ts';
import type { Answer, Ledger, Said } from '../../src/shares/types.ts';

const a = 'aaaaaaaaaaaa';
const b = 'bbbbbbbbbbbb';
let seq = 0;

function say(id: string, more: Partial<Said> = {}): Said {
  const nothing = { limit: 0, open: 0, need: 0, want: 0, budget: 10, pids: [], isLeaving: false, seen: undefined };
  return { id, seq: ++seq, ...nothing, ...more };
}

class Scene {
  ledger: Ledger | undefined;
  run = 'run';
  nowMs = 1_000_000;

  say(said: Said, remembered?: Ledger): Answer {
    const decision = decide(this.ledger, this.run, said, this.nowMs, remembered);
    if (decision.kind !== 'answer') throw new Error(decision.kind);
    this.ledger = decision.ledger;
    return decision.answer;
  }

  /** The ledger is no new one any more. */
  static settled(...saying: Said[]): Scene {
    const scene = new Scene();
    scene.say(say(a));
    scene.nowMs += 3_000;
    for (const said of saying) scene.say(said);
    return scene;
  }

  reserved(): number {
    return [...(this.ledger?.members.values() ?? [])].reduce((sum, member) => sum + reserved(member), 0);
  }
}

describe('a decision', () => {
  it('gives nobody anything while the ledger is new', () => {
    const scene = new Scene();
    expect(scene.say(say(a, { need: 5, want: 6 }))).toMatchObject({ limit: 0, why: 'ledger is new' });
    expect(scene.say(say(b, { limit: 4, open: 2, need: 2, want: 3 }))).toMatchObject({
      limit: 2,
      why: 'ledger is new',
    });
    scene.nowMs += 3_000;
    expect(scene.say(say(a, { need: 5, want: 6 }))).toMatchObject({ limit: 6, why: 'need met', weirs: 2 });
  });

  it('lets Weirs that have clients take turns if there are fewer connections', () => {
    const scene = Scene.settled();
    const ids = [a, b, 'cccccccccccc'];
    const limits = new Map(ids.map((id) => [id, 0]));
    const had = new Set<string>();
    for (let second = 0; second < 30; second++, scene.nowMs += 1_000) {
      for (const id of ids) {
        const limit = limits.get(id) ?? 0;
        limits.set(id, scene.say(say(id, { limit, open: limit, need: 3, want: 4, budget: 1 })).limit);
        if (limits.get(id) === 1) had.add(id);
        expect([...limits.values()].reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(1);
      }
    }
    expect(had).toEqual(new Set(ids));
  });

  it('gives what another Weir is to give up only when that has said that it has', () => {
    const scene = Scene.settled();
    scene.say(say(a, { need: 10, want: 12 }));
    expect(scene.say(say(b, { need: 10, want: 12 }))).toMatchObject({ limit: 0, why: 'others close first' });
    expect(scene.say(say(a, { limit: 10, open: 10, need: 10, want: 12 })).limit).toBe(5);
    expect(scene.say(say(b, { need: 10, want: 12 })).limit).toBe(0);
    scene.say(say(a, { limit: 5, open: 8, need: 10, want: 12 }));
    expect(scene.say(say(b, { need: 10, want: 12 })).limit).toBe(2);
    scene.say(say(a, { limit: 5, open: 5, need: 10, want: 12 }));
    expect(scene.say(say(b, { limit: 2, open: 2, need: 10, want: 12 })).limit).toBe(5);
    expect(scene.reserved()).toBe(10);
  });

  it('ignores what is late', () => {
    const scene = Scene.settled();
    const early = say(a, { need: 1, want: 1 });
    scene.say(say(a, { need: 10, want: 10 }));
    expect(decide(scene.ledger, scene.run, early, scene.nowMs)).toEqual({ kind: 'overtaken' });
  });

  it('takes the smallest budget, and one connection each while nobody knows it', () => {
    const scene = Scene.settled();
    expect(scene.say(say(a, { budget: undefined, need: 5, want: 5 })).limit).toBe(1);
    expect(scene.say(say(a, { budget: 7, need: 9, want: 9 })).limit).toBe(7);
    expect(scene.say(say(b, { budget: 4, need: 9, want: 9 }))).toMatchObject({ limit: 0, budget: 4 });
  });

  it('leaves a silent Weir what it had, until its monitor was not seen for long, and then what is still connected', () => {
    const scene = Scene.settled();
    const { seq: last } = say(a);
    scene.say({ ...say(a, { limit: 8, open: 8, need: 8, want: 8, pids: [1, 2] }), seq: (seq = last + 1) });
    const ask = (seen?: Said['seen']): Answer => scene.say(say(b, { need: 10, want: 10, seen }));
    const absent = (left: number): Said['seen'] => ({
      askedMs: scene.nowMs,
      monitors: [],
      absent: [{ id: a, seq: last + 1, left }],
    });
    for (let second = 0; second < 4; second++) {
      scene.nowMs += 1_000;
      expect(ask(absent(0)).limit).toBe(2);
    }
    for (let second = 0; second < 6; second++) {
      scene.nowMs += 1_000;
      expect(ask({ askedMs: scene.nowMs, monitors: [{ id: a, limit: 8 }], absent: [] }).limit).toBe(2);
    }
    for (let second = 0; second < 7; second++) {
      scene.nowMs += 1_000;
      expect(ask(absent(3)).limit).toBe(2);
    }
    scene.nowMs += 1_000;
    expect(ask(absent(3)).limit).toBe(7);
    expect(ask(absent(0)).limit).toBe(10);
    expect(scene.ledger?.members.size).toBe(1);
  });

  it('counts a Weir that only its monitor tells of', () => {
    const scene = Scene.settled();
    const seen = { askedMs: scene.nowMs, monitors: [{ id: b, limit: 7 }], absent: [] };
    expect(scene.say(say(a, { need: 10, want: 10, seen })).limit).toBe(3);
  });

  it('starts anew after a clock that jumps, a gap or another Redis', () => {
    for (const jumpMs of [-1, 3_001, 3_600_000, 1_000]) {
      const scene = Scene.settled();
      scene.say(say(a, { need: 4, want: 4 }));
      scene.nowMs += jumpMs;
      if (jumpMs === 1_000) scene.run = 'another';
      expect(scene.say(say(b, { need: 4, want: 4 }))).toMatchObject({ limit: 0, why: 'ledger is new' });
    }
  });

  it('learns what was lost from what a Weir remembers', () => {
    const scene = Scene.settled(say(b, { limit: 6, open: 6, need: 6, want: 6 }));
    const remembered = scene.ledger;
    scene.ledger = undefined;
    scene.say(say(a), remembered);
    scene.nowMs += 2_000;
    scene.say(say(a), remembered);
    scene.nowMs += 2_000;
    expect(scene.say(say(a, { need: 10, want: 10 })).limit).toBe(4);
  });

  it('lets go of one that leaves as its connections end', () => {
    const scene = Scene.settled(say(b, { limit: 6, open: 6, need: 6, want: 6 }));
    const leaving = say(b, { open: 6, isLeaving: true });
    expect(scene.say(leaving)).toMatchObject({ limit: 0, why: 'leaving' });
    expect(scene.say(say(a, { need: 10, want: 10 })).limit).toBe(4);
    const absent = [{ id: b, seq: leaving.seq, left: 1 }];
    expect(scene.say(say(a, { need: 10, want: 10, seen: { askedMs: scene.nowMs, monitors: [], absent } })).limit).toBe(
      9,
    );
  });

  it('has room for so many Weirs, and serves those with clients first', () => {
    const scene = Scene.settled();
    const id = (index: number): string => index.toString(16).padStart(12, '0');
    for (let index = 1; index < mostWeirs; index++) scene.say(say(id(index)));
    const one = say('cccccccccccc');
    expect(decide(scene.ledger, scene.run, one, scene.nowMs)).toEqual({ kind: 'full' });
    expect(scene.reserved()).toBeLessThanOrEqual(10);
  });
});
