/**
 * Authenticates Weir to a server: trust, password, md5, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS. Accepts the messages of a method
 * once and in their order only: a server that skips the last message of SCRAM has not proven that it knows the password.
 * Called by backend/login.ts for every AuthenticationXxx message.
 */
import type { KeyDeriver } from '../auth/keys.ts';
import { md5Hash, md5Response } from '../auth/md5.ts';
import type { ClientBinding } from '../auth/scram-client.ts';
import { checkServerFinal, clientFinal, clientFirst, readServerFirst } from '../auth/scram-client.ts';
import type { ScramKeys } from '../auth/scram.ts';
import { newNonce, scramMechanism, scramPlusMechanism } from '../auth/scram.ts';
import { parseSecret } from '../auth/secrets.ts';
import { AuthCode } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { password, saslInitialResponse, saslResponse } from '../protocol/write.ts';

export interface Credentials {
  readonly user: string;
  /** The password; or, for servers that ask for md5, PostgreSQL's md5 hash of it. */
  readonly password: string | undefined;
  /** Instead of a password, for servers that ask for SCRAM and store the same verifier. */
  readonly scramKeys: ScramKeys | undefined;
  readonly keys: KeyDeriver;
  /** Hash of the certificate that the server has shown; undefined: no TLS, or a certificate that has none. */
  readonly channelBinding: Buffer | undefined;
}

/** Weir has not got the password, or does not know the method, that the server asks for. */
export class CannotAnswer extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CannotAnswer';
  }
}

type Step =
  | { readonly name: 'begun' }
  | { readonly name: 'password-sent' }
  | { readonly name: 'scram-begun'; readonly nonce: string; readonly binding: ClientBinding }
  | { readonly name: 'scram-proven'; readonly serverSignature: Buffer }
  | { readonly name: 'scram-verified' }
  | { readonly name: 'accepted' };

const methodNames: Readonly<Record<number, string>> = {
  [AuthCode.KerberosV5]: 'Kerberos V5',
  [AuthCode.Gss]: 'GSSAPI',
  [AuthCode.Sspi]: 'SSPI',
};

export class ServerAuthentication {
  private readonly credentials: Credentials;
  private step: Step = { name: 'begun' };

  constructor(credentials: Credentials) {
    this.credentials = credentials;
  }

  get isAccepted(): boolean {
    return this.step.name === 'accepted';
  }

  /** What to send for this AuthenticationXxx; undefined: nothing. Rejects with ProtocolError or CannotAnswer. */
  async answer(body: Buffer): Promise<Buffer | undefined> {
    if (body.length < 4) throw new ProtocolError('an authentication message without its code');
    const code = body.readInt32BE(0);
    const data = body.subarray(4);
    const { step } = this;
    if (code === AuthCode.Ok && ['begun', 'password-sent', 'scram-verified'].includes(step.name)) {
      this.step = { name: 'accepted' };
      return undefined;
    }
    if (step.name === 'begun') return this.begin(code, data);
    if (step.name === 'scram-begun' && code === AuthCode.SaslContinue)
      return this.proveScram(step.nonce, step.binding, data);
    if (step.name === 'scram-proven' && code === AuthCode.SaslFinal) {
      checkServerFinal(data, step.serverSignature);
      this.step = { name: 'scram-verified' };
      return undefined;
    }
    throw new ProtocolError(`authentication message ${code} in step "${step.name}"`);
  }

  private begin(code: number, data: Buffer): Buffer {
    switch (code) {
      case AuthCode.CleartextPassword: {
        const secret = parseSecret(this.password('a password'));
        if (secret.kind !== 'plain')
          throw new CannotAnswer('the server asks for the password, and only a hash of it is known');
        this.step = { name: 'password-sent' };
        return password(secret.password);
      }
      case AuthCode.Md5Password: {
        if (data.length !== 4) throw new ProtocolError('a salt that is not four bytes');
        this.step = { name: 'password-sent' };
        return password(md5Response(this.md5Hash(), data));
      }
      case AuthCode.Sasl:
        return this.beginScram(data);
      case AuthCode.GssContinue:
      case AuthCode.SaslContinue:
      case AuthCode.SaslFinal:
        throw new ProtocolError(`authentication message ${code} before any was begun`);
      default:
        throw new CannotAnswer(
          `the server asks for ${methodNames[code] ?? `authentication method ${code}`}, which Weir does not speak`,
        );
    }
  }

  private password(what: string): string {
    const { user, password } = this.credentials;
    if (password !== undefined && password !== '') return password;
    throw new CannotAnswer(
      `the server asks for ${what} of user "${user}", and none is known: put user:password into the URL of the node`,
    );
  }

  private md5Hash(): string {
    const secret = parseSecret(this.password('an md5 password'));
    if (secret.kind === 'md5') return secret.hash;
    if (secret.kind === 'plain') return md5Hash(this.credentials.user, secret.password);
    throw new CannotAnswer('the server asks for md5, and only a SCRAM verifier is known');
  }

  private beginScram(data: Buffer): Buffer {
    const mechanisms = data.toString('latin1').split('\0');
    const { channelBinding } = this.credentials;
    const isPlus = channelBinding !== undefined && mechanisms.includes(scramPlusMechanism);
    const mechanism = isPlus ? scramPlusMechanism : scramMechanism;
    if (!mechanisms.includes(mechanism)) {
      throw new CannotAnswer(`the server offers only ${mechanisms.filter(Boolean).join(', ').slice(0, 100)}`);
    }
    // Throws if there is no password, before anything is sent.
    if (this.knownScramKeys === undefined) this.plainPassword();
    const nonce = newNonce();
    const binding = isPlus ? channelBinding : channelBinding === undefined ? 'none' : 'not-offered';
    this.step = { name: 'scram-begun', nonce, binding };
    return saslInitialResponse(mechanism, clientFirst(nonce, binding));
  }

  /** The keys that a client has proven to know. A plain password in the configuration is used instead of them. */
  private get knownScramKeys(): ScramKeys | undefined {
    const { password, scramKeys } = this.credentials;
    return password === undefined || parseSecret(password).kind !== 'plain' ? scramKeys : undefined;
  }

  private plainPassword(): string {
    const secret = parseSecret(this.password('a SCRAM password'));
    if (secret.kind === 'plain') return secret.password;
    throw new CannotAnswer('the server asks for SCRAM-SHA-256, and only a hash of the password is known');
  }

  private async proveScram(nonce: string, binding: ClientBinding, data: Buffer): Promise<Buffer> {
    const first = readServerFirst(data, nonce);
    const known = this.knownScramKeys;
    const keys = known ?? (await this.credentials.keys.derive(this.plainPassword(), first.salt, first.iterations));
    const { message, serverSignature } = clientFinal(keys, nonce, first, binding);
    this.step = { name: 'scram-proven', serverSignature };
    return saslResponse(message);
  }
}
