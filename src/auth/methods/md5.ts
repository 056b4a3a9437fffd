/**
 * auth.type = md5: AuthenticationMD5Password with a new salt. For a user whose secret is a SCRAM verifier it uses SCRAM
 * instead, as PostgreSQL and PgBouncer do. A client cannot tell an unknown user from a known one.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { AuthCode } from '../../protocol/codes.ts';
import { ProtocolError } from '../../protocol/read.ts';
import { authentication } from '../../protocol/write.ts';
import { md5Hash, md5Response } from '../md5.ts';
import { accepted, wrongPassword } from '../outcome.ts';
import { hmac } from '../scram.ts';
import type { AuthMethod } from '../types.ts';
import { scram } from './scram.ts';

/**
 * @returns the password in the body of a PasswordMessage, without the zero at its end
 * @throws ProtocolError for a zero inside
 */
export function passwordOf(body: Buffer): Buffer {
  if (body.length === 0 || body.indexOf(0) !== body.length - 1) throw new ProtocolError('invalid password message');
  return body.subarray(0, -1);
}

export const md5: AuthMethod = async (exchange, context) => {
  const { user } = exchange;
  const secret = await context.secretOf(user);
  if ((secret?.kind ?? context.usualKind()) === 'scram-sha-256') return scram(exchange, context);
  const salt = randomBytes(4);
  exchange.send(authentication(AuthCode.Md5Password, salt));
  const given = passwordOf(await exchange.receive());
  // For an unknown user a hash that no client can know, so that the timing is the same.
  const password =
    secret?.kind === 'plain' ? secret.password : hmac(context.processSecret, `md5:${user}`).toString('hex');
  const hash = md5Hash(user, password);
  const expected = Buffer.from(md5Response(secret?.kind === 'md5' ? secret.hash : hash, salt), 'latin1');
  const isRight = given.length === expected.length && timingSafeEqual(given, expected);
  if (secret === undefined) return wrongPassword(user, context.noSuchUser);
  return isRight ? accepted : wrongPassword(user, 'wrong password');
};
