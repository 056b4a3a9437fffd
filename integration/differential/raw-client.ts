/**
 * A client without opinions: logs in, writes the bytes it is given and keeps every message that comes back. Drivers
 * would hide what the differential tests are about.
 */
import { connect, type Socket } from 'node:net';
import { Backend, AuthCode } from '../../src/protocol/codes.ts';
import { FrameScanner, type FrameSink } from '../../src/protocol/scanner.ts';
import { saslInitialResponse, saslResponse, startupMessage } from '../../src/protocol/write.ts';
import { checkServerFinal, clientFinal, clientFirst, readServerFirst } from '../../src/auth/scram-client.ts';
import { createKeyDeriver } from '../../src/auth/keys.ts';
import { newNonce, scramMechanism } from '../../src/auth/scram.ts';

export interface Received {
  readonly type: number;
  readonly body: Buffer;
}

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** How long anything may take before a script counts as hanging. */
const patienceMs = 60_000;
const keys = createKeyDeriver();

export class RawClient implements FrameSink {
  /** What came and was not taken yet. */
  readonly received: Received[] = [];
  isClosed = false;
  private readonly socket: Socket;
  private readonly scanner = new FrameScanner(this);
  private wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.scanner.push(chunk);
      this.wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
      this.wake?.();
    });
  }

  /** Connects and logs in; what the server says then, up to ReadyForQuery or the end, is in `received`. */
  static async open(address: Address, parameters: Readonly<Record<string, string>>): Promise<RawClient> {
    const socket = connect(address.port, address.host);
    const client = new RawClient(socket);
    client.send(startupMessage({ user: address.user, database: address.database, ...parameters }));
    await client.logIn(address.password);
    return client;
  }

  private async logIn(password: string): Promise<void> {
    const nonce = newNonce();
    let signature: Buffer = Buffer.alloc(0);
    for (;;) {
      await this.until(() => this.received.length > 0);
      const [first] = this.received;
      if (first === undefined || first.type !== Backend.Authentication) return;
      const code = first.body.readInt32BE(0);
      const data = first.body.subarray(4);
      this.received.shift();
      if (code === AuthCode.Ok) return;
      if (code === AuthCode.Sasl) {
        this.send(saslInitialResponse(scramMechanism, clientFirst(nonce, 'none')));
      } else if (code === AuthCode.SaslContinue) {
        const challenge = readServerFirst(data, nonce);
        const proven = await keys.derive(password, challenge.salt, challenge.iterations);
        const final = clientFinal(proven, nonce, challenge, 'none');
        signature = final.serverSignature;
        this.send(saslResponse(final.message));
      } else if (code === AuthCode.SaslFinal) {
        checkServerFinal(data, signature);
      } else {
        throw new Error(`authentication request ${code}`);
      }
    }
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Waits until `isDone` or the connection is closed; false if neither happened in time. */
  async until(isDone: () => boolean): Promise<boolean> {
    const deadline = performance.now() + patienceMs;
    while (!isDone() && !this.isClosed) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = undefined;
    }
    return true;
  }

  close(): void {
    this.socket.destroy();
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    this.received.push({ type, body: buffer.subarray(start + 5, end) });
    return true;
  }

  mayStream(): boolean {
    return false;
  }

  begin(): boolean {
    return true;
  }

  more(): boolean {
    return true;
  }
}
