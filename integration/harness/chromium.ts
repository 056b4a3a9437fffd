/**
 * A real Chromium, for the test of the page and its pictures: Debian's package, or the program that WEIR_TEST_CHROMIUM names. Not
 * there: undefined, and the caller skips, saying so.
 */
import { chromium, type Browser } from 'playwright-core';
import { findProgram } from './programs.ts';

export function findChromium(): string | undefined {
  const chosen = process.env['WEIR_TEST_CHROMIUM'];
  if (chosen !== undefined && chosen !== '') return chosen;
  return ['chromium', 'chromium-browser', 'google-chrome'].map(findProgram).find((path) => path !== undefined);
}

export function startChromium(executablePath: string): Promise<Browser> {
  // Root may not use its sandbox; the pages are Weir's own.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args: [...args, '--disable-gpu', '--disable-dev-shm-usage'] });
}
