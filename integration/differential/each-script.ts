/** Makes a test of each differential script, for the tests that play every one of them. */
import { describe, test } from 'vitest';
import type { Script } from './script.ts';
import { topics } from './topics.ts';

export function testEachScript(play: (script: Script) => Promise<void>): void {
  for (const [topic, scripts] of Object.entries(topics)) {
    describe(topic, () => {
      test.each(scripts.map((script) => [script.name, script] as const))('%s', (_name, script) => play(script));
    });
  }
}
