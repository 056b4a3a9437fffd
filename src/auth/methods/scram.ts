/**
 * auth.type = scram-sha-256: sends and receives the SASL messages of a SCRAM-SHA-256 log-in, over TLS also with channel
 * binding (-PLUS). For an unknown user, or a secret that SCRAM cannot use, messages and timing are those of a wrong
 * password. Source: RFC 5802; PostgreSQL manual, "SASL Authentication".
 */
import { AuthCode } from '../../protocol/codes.ts';
import { ProtocolError, endOfString } from '../../protocol/read.ts';
import { authentication, strings } from '../../protocol/write.ts';
import { OverloadedError } from '../keys.ts';
import { accepted, tooMany, wrongScramPassword } from '../outcome.ts';
import { hmac, newNonce, scramMechanism, scramPlusMechanism } from '../scram.ts';
import type { ClientFirst, ScramVerifier } from '../scram-server.ts';
import { checkProof, readClientFinal, readClientFirst, serverFinal, serverFirst } from '../scram-server.ts';
import type { Secret } from '../secrets.ts';
import type { AuthContext, AuthMethod, Exchange } from '../types.ts';

/** The default of PostgreSQL's scram_iterations, for verifiers that are derived from a plain secret, or made up. */
const defaultIterations = 4096;
const saltBytes = 16;

/** Salt, iteration count and keys for a client. `problem`: the log-in must fail, whatever the client proves. */
interface Challenge {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly verifier: ScramVerifier;
  readonly problem: string | undefined;
}

async function mockVerifier(user: string, salt: Buffer, context: AuthContext): Promise<ScramVerifier> {
  const pretended = hmac(context.processSecret, `password:${user}`);
  if (context.usualKind() === 'plain') {
    try {
      return await context.mockKeys.derive(pretended.toString('hex'), salt, defaultIterations);
    } catch (error) {
      // With very many unknown users the timing of this answer may differ; known users must not wait for them.
      if (!(error instanceof OverloadedError)) throw error;
    }
  }
  return { storedKey: pretended, serverKey: pretended };
}

async function challengeFor(user: string, secret: Secret | undefined, context: AuthContext): Promise<Challenge> {
  if (secret?.kind === 'scram-sha-256') return { ...secret, verifier: secret, problem: undefined };
  const salt = hmac(context.processSecret, `salt:${user}`).subarray(0, saltBytes);
  const iterations = defaultIterations;
  if (secret?.kind === 'plain') {
    const verifier = await context.keys.derive(secret.password, salt, iterations);
    return { salt, iterations, verifier, problem: undefined };
  }
  const verifier = await mockVerifier(user, salt, context);
  const problem =
    secret === undefined ? context.noSuchUser : 'the stored secret is an md5 hash, which SCRAM cannot use';
  return { salt, iterations, verifier, problem };
}

interface InitialResponse {
  readonly mechanism: string;
  readonly data: Buffer | undefined;
}

/** Reads SASLInitialResponse: mechanism, Int32 length (-1: no data), data. */
function readInitialResponse(body: Buffer, offered: readonly string[]): InitialResponse {
  const nameEnd = endOfString(body, 0, body.length);
  const mechanism = body.toString('latin1', 0, nameEnd);
  if (!offered.includes(mechanism)) {
    throw new ProtocolError('the client selected a SASL mechanism that was not offered');
  }
  if (body.length < nameEnd + 5) throw new ProtocolError('malformed SASLInitialResponse');
  const length = body.readInt32BE(nameEnd + 1);
  const data = body.subarray(nameEnd + 5);
  if (length === -1 && data.length === 0) return { mechanism, data: undefined };
  if (length !== data.length) throw new ProtocolError('malformed SASLInitialResponse');
  return { mechanism, data };
}

async function receiveFirst(exchange: Exchange): Promise<ClientFirst> {
  const hash = exchange.channelBinding();
  const offered = hash === undefined ? [scramMechanism] : [scramPlusMechanism, scramMechanism];
  exchange.send(authentication(AuthCode.Sasl, strings(...offered, '')));
  const { mechanism, data } = readInitialResponse(await exchange.receive(), offered);
  if (data === undefined) exchange.send(authentication(AuthCode.SaslContinue));
  return readClientFirst(data ?? (await exchange.receive()), { hash, isChosen: mechanism === scramPlusMechanism });
}

export const scram: AuthMethod = async (exchange, context) => {
  const { user } = exchange;
  const first = await receiveFirst(exchange);
  const secret = await context.secretOf(user);
  let challenge: Challenge;
  try {
    challenge = await challengeFor(user, secret, context);
  } catch (error) {
    if (error instanceof OverloadedError) return tooMany(error.message);
    throw error;
  }
  const nonce = first.nonce + newNonce();
  const serverFirstText = serverFirst(nonce, challenge.salt, challenge.iterations);
  exchange.send(authentication(AuthCode.SaslContinue, Buffer.from(serverFirstText, 'latin1')));
  const final = readClientFinal(await exchange.receive(), first, nonce);
  const authMessage = `${first.bare},${serverFirstText},${final.withoutProof}`;
  const clientKey = checkProof(challenge.verifier, authMessage, final.proof);
  if (challenge.problem !== undefined) return wrongScramPassword(user, challenge.problem);
  if (clientKey === undefined) return wrongScramPassword(user, 'wrong password');
  exchange.send(
    authentication(AuthCode.SaslFinal, Buffer.from(serverFinal(challenge.verifier, authMessage), 'latin1')),
  );
  if (secret?.kind === 'scram-sha-256') {
    context.onScramKeys({ clientKey, storedKey: secret.storedKey, serverKey: secret.serverKey });
  }
  return accepted;
};
