/** The table of authentication methods: the words that it allows, and that the documentation knows them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { authTypes, hbaMethods } from '../../src/auth/methods/table.ts';

it('auth.type and auth.hba_file allow these words, in this order', () => {
  expect(authTypes).toEqual(['trust', 'md5', 'scram-sha-256', 'cert', 'hba']);
  expect(hbaMethods).toEqual(['trust', 'reject', 'md5', 'scram-sha-256', 'password', 'cert']);
});

it.each([...new Set([...authTypes, ...hbaMethods])])('docs/authentication.md explains %s', (word) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/authentication.md'), 'utf8');
  expect(page).toContain(`\`${word}\``);
});
