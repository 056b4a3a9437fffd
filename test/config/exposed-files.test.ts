/**
 * Files with secrets that every user of the machine can read are warned of, each by its setting; not those that a mode, or a
 * directory above, keeps from others. Fails when a secret lies open without a word, or when the warning has it in it.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';

let dir = '';

/** Not os.tmpdir(): where that is closed to others, nothing in it can be open. */
beforeEach(() => {
  dir = mkdtempSync('/tmp/weir-open-');
  chmodSync(dir, 0o755);
  write('users.txt', '"weir" "s3cret"\n', 0o600);
});
afterEach(() => rmSync(dir, { recursive: true }));

function write(name: string, text: string, mode: number): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

function warningsOf(text: string, mode = 0o600): readonly string[] {
  const file = write('weir.yaml', text, mode);
  const result = loadConfig({ file, env: {} });
  expect('problems' in result ? result.problems : []).toEqual([]);
  return result.warnings;
}

const shop = 'databases: { shop: { primary: postgres://db1/shop } }\n';

test('a users file', () => {
  expect(warningsOf(shop)).toEqual([]);
  chmodSync(join(dir, 'users.txt'), 0o640);
  expect(warningsOf(shop)).toEqual([]);
  chmodSync(join(dir, 'users.txt'), 0o644);
  expect(warningsOf(shop)).toEqual([
    `auth.file: every user of this machine can read ${dir}/users.txt (mode 0644), which has secrets of users: chmod o-r`,
  ]);
});

test('not in a directory that others cannot enter; the mode of a link does not count', () => {
  write('users.txt', '"weir" "s3cret"\n', 0o644);
  chmodSync(dir, 0o750);
  expect(warningsOf(shop)).toEqual([]);
  chmodSync(dir, 0o755);
  mkdirSync(join(dir, 'closed'), { mode: 0o700 });
  writeFileSync(join(dir, 'closed/users.txt'), '"weir" "s3cret"\n');
  symlinkSync(join(dir, 'closed/users.txt'), join(dir, 'link.txt'));
  expect(warningsOf(`${shop}auth: { file: link.txt }\n`)).toEqual([]);
});

test('a configuration, if it has passwords itself', () => {
  expect(warningsOf(shop, 0o644)).toEqual([]);
  for (const text of [
    'databases: { shop: { primary: "postgres://app:hunter%402@db1/shop" } }\n',
    `${shop}cache: { enabled: true, redis: "redis://:hunter2@cache" }\n`,
    `${shop}budget: { redis: "redis://:hunter2@cache" }\n`,
  ]) {
    const warnings = warningsOf(text, 0o604);
    expect(warnings).toEqual([
      `the configuration: every user of this machine can read ${dir}/weir.yaml (mode 0604), which has passwords: chmod o-r`,
    ]);
    expect(warnings.join()).not.toContain('hunter');
  }
});

test('not for a password that comes from the environment, or from another program', () => {
  const file = write('weir.yaml', shop, 0o644);
  const env = { WEIR_DATABASES_SHOP_PRIMARY: 'postgres://app:hunter2@db1/shop' };
  expect(loadConfig({ file, env }).warnings).toEqual([]);
  const text = 'databases: { shop: { primary: "postgres://app:hunter2@db1/shop" } }';
  expect(loadConfig({ file, text, env: {} }).warnings).toEqual([]);
});
