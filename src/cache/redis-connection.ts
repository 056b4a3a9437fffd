/**
 * Which connection to Redis is in use, and whether Redis answers on it. Each connection has a number, because the answer to a
 * command that was sent on an earlier connection says nothing about this one. Opens no sockets: that is transport.ts. Used by
 * redis-sync.ts.
 */
import { Silence } from './silence.ts';

export class RedisConnection {
  /** Number of the connection in use, 0 = none. */
  number = 0;
  /** A look-up waited too long for an answer: until Redis answers any command, nobody else waits. */
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

  /** Passes on the answer to a command that was sent just now. */
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

  /** To be called once a second. @returns for how many seconds Redis has answered nothing although it should have */
  silentSeconds(): number {
    return this.silence.pulse();
  }
}
