/**
 * The current connection to Redis, and whether Redis answers on it. Connections are numbered, because the answer to a
 * command sent on an earlier connection says nothing about this one. Opens no sockets (transport.ts). Used by
 * redis-sync.ts.
 */
import { Silence } from './silence.ts';

export class RedisConnection {
  /** Number of the current connection; 0: none. */
  number = 0;
  /** A look-up waited too long: until Redis answers any command, no other look-up waits. */
  isSlow = false;
  private silence = new Silence();
  private opened = 0;

  open(): void {
    this.number = ++this.opened;
    this.silence = new Silence();
  }

  close(): void {
    this.number = 0;
  }

  /** Watches the answer to a command that was just sent. */
  watch<T>(answer: Promise<T>): Promise<T> {
    const { silence } = this;
    silence.sent();
    const answered = (): void => {
      silence.answered();
      if (silence === this.silence) this.isSlow = false;
    };
    answer.then(answered, answered);
    return answer;
  }

  /** Call once a second. @returns seconds in which Redis has answered nothing although a command was waiting */
  silentSeconds(): number {
    return this.silence.pulse();
  }
}
