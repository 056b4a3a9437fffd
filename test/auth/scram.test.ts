/**
 * SCRAM-SHA-256, both sides: the example of RFC 7677, channel binding, and whatever a peer may send instead. Fails if a
 * malformed or tampered message is accepted.
 */
import { pbkdf2Sync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hmac, newNonce, scramKeys } from '../../src/auth/scram.ts';
import { checkServerFinal, clientFinal, clientFirst, readServerFirst } from '../../src/auth/scram-client.ts';
import { checkProof, readClientFinal, readClientFirst, serverFinal, serverFirst } from '../../src/auth/scram-server.ts';
import type { ClientBinding } from '../../src/auth/scram-client.ts';
import type { BindingOffer } from '../../src/auth/scram-server.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { ProtocolError } from '../../src/protocol/read.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
const notOffered: BindingOffer = { hash: undefined, isChosen: false };
const keysOf = (password: string, salt: Buffer, iterations: number) =>
  scramKeys(pbkdf2Sync(password, salt, iterations, 32, 'sha256'));

describe('RFC 7677, section 3', () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  const keys = keysOf('pencil', salt, 4096);
  const clientNonce = 'rOprNGfwEbeRWgbNEkqO';
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const first = readClientFirst(bytes(`n,,n=user,r=${clientNonce}`), notOffered);
  const challenge = serverFirst(nonce, salt, 4096);
  const finalText =
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';

  it('says the server-first-message of the example', () => {
    expect(first).toEqual({ binding: bytes('n,,'), bare: `n=user,r=${clientNonce}`, nonce: clientNonce });
    expect(challenge).toBe(`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
  });

  it('accepts the proof, recovers the client key, and signs as in the example', () => {
    const final = readClientFinal(bytes(finalText), first, nonce);
    const authMessage = `${first.bare},${challenge},${final.withoutProof}`;
    expect(checkProof(keys, authMessage, final.proof)).toEqual(keys.clientKey);
    expect(serverFinal(keys, authMessage)).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  });

  it('refuses a proof with one bit changed', () => {
    const final = readClientFinal(bytes(finalText), first, nonce);
    const authMessage = `${first.bare},${challenge},${final.withoutProof}`;
    for (const at of [0, 13, 31]) {
      const proof = Buffer.from(final.proof);
      proof[at] = (proof[at] as number) ^ 1;
      expect(checkProof(keys, authMessage, proof)).toBeUndefined();
    }
  });
});

const sharedSalt = Buffer.from('0123456789abcdef');

/** A whole conversation of the two sides. */
function converse(
  clientPassword: string,
  serverPassword: string,
  [seen, offer]: [ClientBinding, BindingOffer] = ['none', notOffered],
): { isProven: boolean; finish: () => void } {
  const clientNonce = newNonce();
  const first = readClientFirst(bytes(clientFirst(clientNonce, seen)), offer);
  const nonce = first.nonce + newNonce();
  const challenge = serverFirst(nonce, sharedSalt, 4096);
  const serverKeys = keysOf(serverPassword, sharedSalt, 4096);
  const answer = readServerFirst(bytes(challenge), clientNonce);
  const { message, serverSignature } = clientFinal(
    keysOf(clientPassword, answer.salt, 4096),
    clientNonce,
    answer,
    seen,
  );
  const final = readClientFinal(bytes(message), first, nonce);
  const authMessage = `${first.bare},${challenge},${final.withoutProof}`;
  const isProven = checkProof(serverKeys, authMessage, final.proof) !== undefined;
  return { isProven, finish: () => checkServerFinal(bytes(serverFinal(serverKeys, authMessage)), serverSignature) };
}

describe('both sides', () => {
  it('agree on the same password and prove it to each other', () => {
    const { isProven, finish } = converse('right', 'right');
    expect(isProven).toBe(true);
    expect(finish).not.toThrow();
  });

  it('disagree on different ones, the client too', () => {
    const { isProven, finish } = converse('wrong', 'right');
    expect(isProven).toBe(false);
    expect(finish).toThrow(/does not know the password/);
  });
});

describe('channel binding', () => {
  const hash = Buffer.alloc(32, 5);
  const offered: BindingOffer = { hash, isChosen: false };
  const chosen: BindingOffer = { hash, isChosen: true };

  it('is proven, and needs the right password all the same', () => {
    const right = converse('right', 'right', [hash, chosen]);
    expect(right.isProven).toBe(true);
    expect(right.finish).not.toThrow();
    expect(converse('wrong', 'right', [hash, chosen]).isProven).toBe(false);
  });

  it('need not be chosen', () => {
    expect(converse('right', 'right', ['none', offered]).isProven).toBe(true);
    expect(converse('right', 'right', ['not-offered', notOffered]).isProven).toBe(true);
  });

  it('fails for another certificate, a longer hash, a shorter one', () => {
    const others = [Buffer.alloc(32, 6), Buffer.alloc(48, 5), hash.subarray(0, 31), Buffer.alloc(0)];
    for (const other of others) {
      expect(() => converse('right', 'right', [other, chosen])).toThrow('SCRAM channel binding check failed');
    }
  });

  it('says so when somebody in between has taken it off the list', () => {
    expect(() => converse('right', 'right', ['not-offered', offered])).toThrow(WeirError);
    expect(() => converse('right', 'right', ['not-offered', offered])).toThrow(
      'SCRAM channel binding negotiation error',
    );
  });

  it.each<[string, BindingOffer, RegExp]>([
    ['p=tls-server-end-point,,n=,r=abc', offered, /without channel binding was selected/],
    ['p=tls-server-end-point,,n=,r=abc', notOffered, /without channel binding was selected/],
    ['n,,n=,r=abc', chosen, /has no channel binding data/],
    ['y,,n=,r=abc', chosen, /has no channel binding data/],
    ['p=tls-unique,,n=,r=abc', chosen, /unsupported SCRAM channel-binding type/],
    ['p=,,n=,r=abc', chosen, /unsupported SCRAM channel-binding type/],
    ['p,,n=,r=abc', chosen, /channel binding flag/],
    ['p=tls-server-end-point,a=x,n=,r=abc', chosen, /authorization identity/],
  ])('refuses %s', (text, offer, message) => {
    expect(() => readClientFirst(bytes(text), offer)).toThrow(message);
    expect(() => readClientFirst(bytes(text), offer)).toThrow(ProtocolError);
  });
});

describe('malformed messages from a client', () => {
  it.each([
    ['', /channel binding flag/],
    ['n', /authorization identity/],
    ['n,a=somebody,n=,r=abc', /authorization identity/],
    ['x,,n=,r=abc', /channel binding flag/],
    ['n,,m=future,n=,r=abc', /unknown SCRAM extension/],
    ['n,,r=abc', /attribute "n"/],
    ['n,,n=', /attribute "r"/],
    ['n,,n=,r=', /nonce/],
    ['n,,n=,r=a\u00e9b', /nonce/],
    ['n,,n=,r=a b', /nonce/],
    ['n,,n=\0,r=abc', /zero byte/],
  ])('first %j', (text, message) => {
    expect(() => readClientFirst(bytes(text), notOffered)).toThrow(ProtocolError);
    expect(() => readClientFirst(bytes(text), notOffered)).toThrow(message);
  });

  const first = readClientFirst(bytes('y,,n=,r=abc'), notOffered);
  const proof = Buffer.alloc(32, 7).toString('base64');

  it('the flag "y" is fine, and must be said again at the end', () => {
    expect(readClientFinal(bytes(`c=eSws,r=abcdef,p=${proof}`), first, 'abcdef').proof).toHaveLength(32);
    expect(() => readClientFinal(bytes(`c=biws,r=abcdef,p=${proof}`), first, 'abcdef')).toThrow(/channel binding/);
  });

  it.each([
    ['', /attribute "c"/],
    [`r=abcdef,p=${proof}`, /attribute "c"/],
    [`c=eSws,p=${proof}`, /attribute "r"/],
    [`c=eSws,r=abc,p=${proof}`, /nonce does not match/],
    [`c=eSws,r=abcdefg,p=${proof}`, /nonce does not match/],
    ['c=eSws,r=abcdef', /attribute "p"/],
    ['c=eSws,r=abcdef,x=1', /attribute "p"/],
    ['c=eSws,r=abcdef,p=', /32 bytes/],
    ['c=eSws,r=abcdef,p=AAAA', /32 bytes/],
    [`c=eSws,r=abcdef,p=${proof.slice(0, -1)}`, /32 bytes/],
    [`c=eSws,r=abcdef,p=${proof}\0`, /zero byte/],
  ])('final %j', (text, message) => {
    expect(() => readClientFinal(bytes(text), first, 'abcdef')).toThrow(ProtocolError);
    expect(() => readClientFinal(bytes(text), first, 'abcdef')).toThrow(message);
  });

  it('extensions between nonce and proof are signed, not refused', () => {
    const final = readClientFinal(bytes(`c=eSws,r=abcdef,x=1,p=${proof}`), first, 'abcdef');
    expect(final.withoutProof).toBe('c=eSws,r=abcdef,x=1');
  });
});

describe('malformed messages from a server', () => {
  const salt = Buffer.from('salt').toString('base64');
  it.each([
    ['', /attribute "r"/],
    ['m=future,r=abcdef', /attribute "r"/],
    [`r=abc,s=${salt},i=4096`, /nonce/],
    [`r=xyzdef,s=${salt},i=4096`, /nonce/],
    ['r=abcdef,i=4096', /attribute "s"/],
    ['r=abcdef,s=,i=4096', /salt/],
    ['r=abcdef,s=*,i=4096', /salt/],
    [`r=abcdef,s=${Buffer.alloc(2000).toString('base64')},i=4096`, /salt/],
    [`r=abcdef,s=${salt}`, /attribute "i"/],
    [`r=abcdef,s=${salt},i=0`, /iteration count/],
    [`r=abcdef,s=${salt},i=-1`, /iteration count/],
    [`r=abcdef,s=${salt},i=1e3`, /iteration count/],
    [`r=abcdef,s=${salt},i=2000000000`, /iteration count/],
    [`r=abcdef,s=${salt},i=99999999999999999999`, /iteration count/],
  ])('first %j', (text, message) => {
    expect(() => readServerFirst(bytes(text), 'abc')).toThrow(ProtocolError);
    expect(() => readServerFirst(bytes(text), 'abc')).toThrow(message);
  });

  it.each(['', 'v=', 'v=AAAA', `v=${Buffer.alloc(32).toString('base64')}`, 'e=invalid-proof'])('final %j', (text) => {
    expect(() => checkServerFinal(bytes(text), hmac(Buffer.from('k'), 'm'))).toThrow(ProtocolError);
  });
});
