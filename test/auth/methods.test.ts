/** The table of authentication methods: the words that it allows, and that the documentation knows them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { authTypes, hbaMethods } from '../../src/auth/methods/table.ts';

it('password and reject are for auth.hba_file only, hba and plain are for auth.type only', () => {
  expect(authTypes).toEqual(expect.arrayContaining(['trust', 'plain', 'md5', 'scram-sha-256', 'cert', 'hba']));
  expect(hbaMethods).toEqual(expect.arrayContaining(['trust', 'reject', 'md5', 'scram-sha-256', 'password', 'cert']));
  expect(authTypes).not.toEqual(expect.arrayContaining(['password']));
  expect(authTypes).not.toEqual(expect.arrayContaining(['reject']));
  expect(hbaMethods).not.toEqual(expect.arrayContaining(['hba']));
  expect(hbaMethods).not.toEqual(expect.arrayContaining(['plain']));
});

it.each([...new Set([...authTypes, ...hbaMethods])])('docs/authentication.md explains %s', (word) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/authentication.md'), 'utf8');
  expect(page).toContain(`\`${word}\``);
});
