/**
 * Everybody who has connected and not yet proven who he is. Their number has a bound of its own, so that they never take
 * the places of clients; when it is reached, the address with most of them loses its oldest, so that one address cannot
 * lock out the others. Used by door.ts and login.ts.
 */
import type { Socket } from 'node:net';

/** One log-in, or one TLS handshake, under way. */
export interface LoginPlace {
  /** It is over. Any number of times. */
  leave(): void;
}

class Login implements LoginPlace {
  readonly giveWay: () => void;
  private readonly logins: Logins;
  private readonly address: string;

  constructor(logins: Logins, address: string, giveWay: () => void) {
    this.logins = logins;
    this.address = address;
    this.giveWay = giveWay;
  }

  leave(): void {
    this.logins.left(this.address, this);
  }
}

export class Logins {
  /** Oldest first in each. */
  private readonly byAddress = new Map<string, Set<Login>>();
  private readonly limit: () => number;
  private count = 0;

  /** @param limit log-ins at the same time, all addresses together */
  constructor(limit: () => number) {
    this.limit = limit;
  }

  get size(): number {
    return this.count;
  }

  /** @param giveWay called if it has to end because others want to log in, too; it has left by then */
  enter(address: string, giveWay: () => void): LoginPlace {
    const login = new Login(this, address, giveWay);
    const own = this.byAddress.get(address) ?? new Set();
    own.add(login);
    this.byAddress.set(address, own);
    this.count++;
    while (this.count > this.limit()) this.oldestOfLargest(own).giveWay();
    return login;
  }

  /** Called by Login.leave only. */
  left(address: string, login: Login): void {
    const own = this.byAddress.get(address);
    if (own?.delete(login) !== true) return;
    this.count--;
    if (own.size === 0) this.byAddress.delete(address);
  }

  private oldestOfLargest(own: Set<Login>): Login {
    let largest = own;
    // Who comes from an address with more than its share makes room itself: the others need not be looked through.
    if (own.size <= this.count / this.byAddress.size)
      for (const others of this.byAddress.values()) if (others.size > largest.size) largest = others;
    const [oldest] = largest;
    const login = oldest as Login;
    login.leave();
    return login;
  }
}

/** IPv4 addresses mapped into IPv6 are shown as IPv4. */
export const addressOf = (socket: Socket): string => (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
