/**
 * The connections that have not authenticated yet. They have a limit of their own, max_client_logins, so that they do
 * not use up max_client_conn. When it is reached, the oldest log-in of the address with the most log-ins is ended, so
 * that one address cannot lock out the others. Called by client-acceptor.ts and login.ts.
 */
import type { Socket } from 'node:net';

/** The address of a client on a Unix socket, as PgBouncer shows it. */
export const localAddress = 'unix';

/** One log-in or TLS handshake. */
export interface LoginEntry {
  /** Must be called at its end; may be called several times. */
  leave(): void;
}

class Login implements LoginEntry {
  readonly onEvicted: () => void;
  private readonly logins: Logins;
  private readonly address: string;

  constructor(logins: Logins, address: string, onEvicted: () => void) {
    this.logins = logins;
    this.address = address;
    this.onEvicted = onEvicted;
  }

  leave(): void {
    this.logins.remove(this.address, this);
  }
}

export class Logins {
  /** Per address, the oldest log-in first. */
  private readonly byAddress = new Map<string, Set<Login>>();
  private readonly limit: () => number;
  private count = 0;

  /** @param limit number of log-ins at the same time, over all addresses */
  constructor(limit: () => number) {
    this.limit = limit;
  }

  get size(): number {
    return this.count;
  }

  /** @param onEvicted called, after leave(), if this log-in has to end because the limit was reached */
  enter(address: string, onEvicted: () => void): LoginEntry {
    const login = new Login(this, address, onEvicted);
    const own = this.byAddress.get(address) ?? new Set();
    own.add(login);
    this.byAddress.set(address, own);
    this.count++;
    while (this.count > this.limit()) this.removeOldestOfLargest(own).onEvicted();
    return login;
  }

  /** Called by Login.leave() only. */
  remove(address: string, login: Login): void {
    const own = this.byAddress.get(address);
    if (own?.delete(login) !== true) return;
    this.count--;
    if (own.size === 0) this.byAddress.delete(address);
  }

  private removeOldestOfLargest(own: Set<Login>): Login {
    let largest = own;
    // If the new log-in's address has more than the average, it gives up its own oldest, without a search.
    if (own.size <= this.count / this.byAddress.size)
      for (const others of this.byAddress.values()) if (others.size > largest.size) largest = others;
    const [oldest] = largest;
    const login = oldest as Login;
    login.leave();
    return login;
  }
}

/** The remote address; an IPv4 address mapped to IPv6 as IPv4. */
export const addressOf = (socket: Socket): string => (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
