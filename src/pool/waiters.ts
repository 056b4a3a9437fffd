/**
 * The line in front of a pool: first come, first served; who left is forgotten at once and holds nobody up.
 */
import { Ring } from '../util/ring.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors.ts';

/** Somebody who wants a server. Exactly one of the two is called, once, unless the ticket was cancelled. */
export interface Waiter {
  /** What waits is a read that another node could take just as well. */
  readonly mayGoElsewhere: boolean;
  /** Could it go behind other clients' reads on this server (lanes.ts)? */
  mayShare(server: ServerConnection): boolean;
  granted(server: ServerConnection): void;
  /** `isElsewhere`: nothing is wrong with the request, ask for another node. */
  refused(error: WeirError, isElsewhere: boolean): void;
}

export class Ticket {
  readonly waiter: Waiter;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  isDone = false;
  private readonly line: WaiterLine;

  constructor(line: WaiterLine, waiter: Waiter, sinceMs: number, deadlineMs: number) {
    this.line = line;
    this.waiter = waiter;
    this.sinceMs = sinceMs;
    this.deadlineMs = deadlineMs;
  }

  /** The client left or changed its mind. */
  cancel(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.line.forgotten();
  }
}

export class WaiterLine {
  private readonly tickets = new Ring<Ticket>();
  private count = 0;

  get length(): number {
    return this.count;
  }

  /** Including those who left and whose place has not been taken up yet. */
  get places(): number {
    return this.tickets.length;
  }

  join(waiter: Waiter, nowMs: number, deadlineMs: number): Ticket {
    const ticket = new Ticket(this, waiter, nowMs, deadlineMs);
    this.tickets.push(ticket);
    this.count++;
    return ticket;
  }

  /** The one who has waited longest. */
  oldest(): Ticket | undefined {
    for (let ticket = this.tickets.peek(); ticket !== undefined; ticket = this.tickets.peek()) {
      if (!ticket.isDone) return ticket;
      this.tickets.shift();
    }
    return undefined;
  }

  /** Takes the oldest out of the line. */
  take(): Ticket | undefined {
    const ticket = this.oldest();
    if (ticket === undefined) return undefined;
    this.tickets.shift();
    ticket.isDone = true;
    this.count--;
    return ticket;
  }

  /** Takes out everybody of whom `leaves` is true, in order. */
  takeWhere(leaves: (ticket: Ticket) => boolean): Ticket[] {
    const taken: Ticket[] = [];
    this.tickets.filter((ticket) => {
      if (ticket.isDone) return false;
      if (!leaves(ticket)) return true;
      ticket.isDone = true;
      this.count--;
      taken.push(ticket);
      return false;
    });
    return taken;
  }

  /** Called by Ticket.cancel only. */
  forgotten(): void {
    this.count--;
    // Those who left must not pile up behind one who waits long.
    if (this.tickets.length > 64 && this.tickets.length > 4 * this.count)
      this.tickets.filter((ticket) => !ticket.isDone);
  }
}
