/**
 * One TCP or TLS connection to Redis, until its end; it does not reconnect. Every command sent on it is answered, or
 * rejected at the moment when the connection is lost. Used by redis-pair.ts.
 */
import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Ring } from '../util/ring.ts';
import { encodeCommand, RespError, RespReader } from './resp.ts';
import type { Reply, RespLimits } from './resp.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly user: string;
  readonly password: string;
  readonly db: number;
}

export type Argument = string | Buffer | number;

export interface RedisLinkEvents {
  /** Called once, after every waiting command has been rejected. */
  onLost(link: RedisLink, error: Error): void;
  onMessage(channel: string, text: string): void;
}

interface Waiting {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** The received bytes are not a valid answer of Redis. */
export class ProtocolError extends Error {}

/** Limit on unsent bytes, in case Redis does not read. */
const maxUnsentBytes = 64 * 1024 ** 2;
const keepAliveMs = 10_000;

/** @param url a valid value of the setting cache.redis */
export function addressOf(url: string): RedisAddress {
  const { hostname, port, protocol, username, password, pathname } = new URL(url);
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port || 6379),
    isTls: protocol === 'rediss:',
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    db: Number(pathname.slice(1) || 0),
  };
}

export class RedisLink {
  private readonly socket: Socket;
  private readonly events: RedisLinkEvents;
  private readonly waiting = new Ring<Waiting>();
  private isLost = false;

  constructor(address: RedisAddress, limits: RespLimits, events: RedisLinkEvents) {
    this.events = events;
    this.socket = connectSocket(address);
    this.socket.setNoDelay(true);
    this.socket.setKeepAlive(true, keepAliveMs);
    const reader = new RespReader(limits, (reply) => this.answered(reply));
    this.socket.on('data', (chunk: Buffer) => {
      if (this.isLost) return;
      try {
        reader.read(chunk);
      } catch (error) {
        this.end(new ProtocolError(`it sends ${(error as Error).message}`));
      }
    });
    this.socket.on('error', (error) => this.end(error));
    this.socket.on('close', () => this.end(new Error('connection closed')));
  }

  /**
   * Sends a command; commands are sent in the order of the calls. Rejects if Redis refuses it, or the connection is
   * lost first.
   */
  call(args: readonly Argument[]): Promise<Reply> {
    if (this.isLost) return Promise.reject(new Error('connection closed'));
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.write(encodeCommand(args));
      if (this.socket.writableLength > maxUnsentBytes) this.end(new Error('it does not read what it is sent'));
    });
  }

  end(error: Error): void {
    if (this.isLost) return;
    this.isLost = true;
    this.socket.destroy();
    for (let one = this.waiting.shift(); one !== undefined; one = this.waiting.shift()) one.reject(error);
    this.events.onLost(this, error);
  }

  private answered(reply: Reply): void {
    if (this.isLost) return;
    if (Array.isArray(reply) && isWord(reply[0], 'message')) {
      const [, channel, text] = reply as Reply[];
      if (!Buffer.isBuffer(channel) || !Buffer.isBuffer(text)) throw new Error('a message without its text');
      this.events.onMessage(channel.toString(), text.toString());
      return;
    }
    const next = this.waiting.shift();
    if (next === undefined) throw new Error('answers to nothing');
    if (reply instanceof RespError) next.reject(reply);
    else next.resolve(reply);
  }
}

const isWord = (value: Reply | undefined, word: string): boolean =>
  Buffer.isBuffer(value) && value.toString('latin1') === word;

function connectSocket({ host, port, isTls }: RedisAddress): Socket {
  if (!isTls) return connectTcp({ host, port });
  return connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) });
}
