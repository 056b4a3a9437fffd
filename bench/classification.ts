/**
 * What understanding a statement costs: a template's first sight (a parse), and every one after it.
 */
import type { BenchContext } from './context.ts';
import type { Section } from './report.ts';

export async function classification(_context: BenchContext): Promise<Section> {
  return Promise.reject(new Error('not there yet'));
}
