/**
 * The table of authentication methods: their names in auth.type and in auth.hba_file, and what each does. To add one,
 * write its file and its row. Called by the authenticator, by the parser of pg_hba.conf and by the setting auth.type.
 */
import type { AuthMethod } from '../types.ts';
import { cert } from './cert.ts';
import { md5 } from './md5.ts';
import { password } from './password.ts';
import { peer } from './peer.ts';
import { scram } from './scram.ts';
import { trust } from './trust.ts';

interface Row {
  /** 'everywhere': in auth.type and in auth.hba_file. */
  readonly allowedIn: 'everywhere' | 'type' | 'hba_file';
  /** undefined: the authenticator itself refuses the client. */
  readonly check: AuthMethod | undefined;
}

export const methods = {
  trust: { allowedIn: 'everywhere', check: trust },
  // PgBouncer's; the name of the client is not looked at, for databases that name the user of their servers.
  any: { allowedIn: 'type', check: trust },
  reject: { allowedIn: 'hba_file', check: undefined },
  md5: { allowedIn: 'everywhere', check: md5 },
  'scram-sha-256': { allowedIn: 'everywhere', check: scram },
  password: { allowedIn: 'hba_file', check: password },
  // PgBouncer's name of it.
  plain: { allowedIn: 'type', check: password },
  cert: { allowedIn: 'everywhere', check: cert },
  peer: { allowedIn: 'hba_file', check: peer },
} as const satisfies Readonly<Record<string, Row>>;

type Methods = typeof methods;

type Without<Place extends Row['allowedIn']> = {
  [Name in keyof Methods]: Methods[Name]['allowedIn'] extends Place ? never : Name;
}[keyof Methods];

/** A method that a line of auth.hba_file can name. */
export type HbaMethod = Without<'type'>;

/** A value of auth.type: the name of a method that is allowed there, or `hba` for the lines of auth.hba_file. */
export type AuthType = Without<'hba_file'> | 'hba';

const names = Object.keys(methods) as readonly (keyof Methods)[];

export const hbaMethods = names.filter((name): name is HbaMethod => methods[name].allowedIn !== 'type');

export const authTypes: readonly AuthType[] = [
  ...names.filter((name): name is Without<'hba_file'> => methods[name].allowedIn !== 'hba_file'),
  'hba',
];
