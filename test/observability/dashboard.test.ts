/**
 * The page of the HTTP port shows what the metrics say, and nothing of a client becomes markup. Fails if a name is not
 * escaped.
 */
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { dashboardHtml } from '../../src/observability/dashboard.ts';
import { statsJson } from '../../src/observability/stats-json.ts';
import { fakeNode, fakePool, fakeSources } from '../console/fakes.ts';

/** As much of a page as the script touches. There is no way here to set HTML: a script that tried would fail. */
class FakeNode {
  textContent: string;
  className = '';
  readonly style: Record<string, string> = {};
  readonly attributes: Record<string, string> = {};
  children: FakeNode[] = [];
  constructor(textContent = '') {
    this.textContent = textContent;
  }
  append(...nodes: FakeNode[]): void {
    this.children.push(...nodes);
  }
  replaceChildren(...nodes: FakeNode[]): void {
    this.children = nodes;
  }
  setAttribute(name: string, value: string): void {
    this.attributes[name] = value;
  }
  get text(): string {
    return [this.textContent, ...this.children.map((child) => child.text)].filter(Boolean).join(' | ');
  }
}

interface Page {
  readonly elements: Map<string, FakeNode>;
  /** Two seconds pass. */
  tick(): Promise<void>;
}

function open(answer: () => Promise<{ ok: boolean; status: number; json(): unknown }>): Page {
  const elements = new Map<string, FakeNode>();
  for (const [, id = ''] of dashboardHtml.matchAll(/ id="(\w+)"/g)) elements.set(id, new FakeNode());
  let next: (() => Promise<void>) | undefined;
  runInNewContext(/<script>([\s\S]*)<\/script>/.exec(dashboardHtml)?.[1] ?? '', {
    document: {
      hidden: false,
      getElementById: (id: string) => elements.get(id),
      createElement: () => new FakeNode(),
      createElementNS: (_namespace: string, tag: string) => new FakeNode(`<${tag}>`),
      createTextNode: (text: string) => new FakeNode(text),
    },
    Node: FakeNode,
    fetch: answer,
    setTimeout: (then: () => Promise<void>) => (next = then),
  });
  return {
    elements,
    async tick() {
      await vi.waitFor(() => expect(next).toBeDefined());
      const then = next;
      next = undefined;
      void then?.();
      await vi.waitFor(() => expect(next).toBeDefined());
    },
  };
}

describe('the dashboard', () => {
  it('shows nodes, pools, rates and the cache, and names only as text', async () => {
    const hostile = '<img src=x onerror=alert(1)>';
    const pool = fakePool({ user: hostile });
    pool.setLimit(28, 'pressure', 'clients waited 38 ms');
    const node = fakeNode({ problem: hostile, isUp: false });
    const snapshot = { database: 'shop', primary: node, replicas: [], nodes: [node], epoch: 1 };
    const sources = fakeSources({
      pools: () => [pool],
      topologies: () => [{ database: 'shop', snapshot: () => snapshot }],
    });
    let nowMs = 1_000;
    let asked = 0;
    const page = open(() => {
      const stats = JSON.parse(JSON.stringify(statsJson(sources, nowMs))) as { databases: { queries: number }[] };
      for (const database of stats.databases) database.queries += 200 * asked;
      asked++;
      nowMs += 2_000;
      return Promise.resolve({ ok: true, status: 200, json: () => stats });
    });
    await page.tick();
    const text = (id: string): string => page.elements.get(id)?.text ?? '';
    expect(text('cards')).toContain('100 | queries / s');
    expect(text('cards')).toContain('4 | waiting for a server');
    expect(text('pools')).toContain(`shop.${hostile}`);
    expect(text('pools')).toContain('20 \u2192 28 pressure: clients waited 38 ms');
    expect(text('nodes')).toContain(`down | 2 | 1.3 | ${hostile}`);
    expect(text('forecast')).toContain('4 | 34 | 86.5 % | 34 | <svg> | <polyline> | at 09:00 UTC');
    expect(text('cache')).toContain('4 KB / 128 MB');
    expect(page.elements.get('line')?.attributes['points']).toMatch(/^0\.0,46\.0 2\.0,/);
  });

  it('says when Weir does not answer, and goes on asking', async () => {
    let asked = 0;
    const page = open(() => {
      asked++;
      return asked === 1
        ? Promise.reject(new Error('refused'))
        : Promise.resolve({ ok: false, status: 500, json: () => ({}) });
    });
    await vi.waitFor(() => expect(page.elements.get('stale')?.textContent).toBe('no answer from Weir (refused)'));
    await page.tick();
    expect(page.elements.get('stale')?.textContent).toBe('no answer from Weir (HTTP 500)');
  });
});
