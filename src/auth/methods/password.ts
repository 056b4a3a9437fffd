/**
 * auth.type = plain, and method `password` of auth.hba_file: the client sends its password in clear text, so TLS is advisable. Works with
 * every kind of secret, and reveals the keys of a SCRAM verifier.
 */
import { timingSafeEqual } from 'node:crypto';
import { AuthCode } from '../../protocol/codes.ts';
import { authentication } from '../../protocol/write.ts';
import { OverloadedError } from '../keys.ts';
import { md5Hash } from '../md5.ts';
import { accepted, tooMany, wrongPassword } from '../outcome.ts';
import { hmac, sha256 } from '../scram.ts';
import type { Secret } from '../secrets.ts';
import type { AuthContext, AuthMethod, Exchange } from '../types.ts';
import { passwordOf } from './md5.ts';

/** A stored verifier with more iterations would occupy a core for minutes. */
const maxIterations = 1_000_000;

/** Compares in constant time. */
function isSame(a: string | Buffer, b: string | Buffer): boolean {
  return timingSafeEqual(sha256(Buffer.from(a)), sha256(Buffer.from(b)));
}

async function isRight(given: string, secret: Secret, { user }: Exchange, context: AuthContext): Promise<boolean> {
  if (secret.kind === 'plain') return isSame(given, secret.password);
  if (secret.kind === 'md5') return isSame(md5Hash(user, given), secret.hash);
  if (secret.iterations > maxIterations) return false;
  const keys = await context.keys.derive(given, secret.salt, secret.iterations);
  if (!isSame(keys.storedKey, secret.storedKey)) return false;
  context.onScramKeys({ clientKey: keys.clientKey, storedKey: secret.storedKey, serverKey: secret.serverKey });
  return true;
}

/** Does the work of a check for an unknown user, so that the timing is that of a known one. */
async function checkMockSecret(given: string, { user }: Exchange, context: AuthContext): Promise<void> {
  const secret = hmac(context.processSecret, `password:${user}`);
  if (context.usualKind() === 'scram-sha-256') await context.mockKeys.derive(given, secret.subarray(0, 16), 4096);
  else isSame(given, secret);
}

export const password: AuthMethod = async (exchange, context) => {
  const { user } = exchange;
  exchange.send(authentication(AuthCode.CleartextPassword));
  const given = passwordOf(await exchange.receive()).toString('utf8');
  const secret = await context.secretOf(user);
  try {
    if (secret === undefined) {
      await checkMockSecret(given, exchange, context);
      return wrongPassword(user, context.noSuchUser);
    }
    // PostgreSQL refuses an empty password, too.
    const isIn = given !== '' && (await isRight(given, secret, exchange, context));
    return isIn ? accepted : wrongPassword(user, 'wrong password');
  } catch (error) {
    if (error instanceof OverloadedError) return tooMany(error.message);
    throw error;
  }
};
