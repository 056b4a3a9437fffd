/**
 * COPY for node-postgres without another package: a query that node-postgres's client takes as it is and whose data
 * come from, or end in, memory. Used by the tests of drivers.
 */
import type pg from 'pg';

interface Wire {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(why: string): void;
}

export class RawCopy implements pg.Submittable {
  /** What COPY TO STDOUT gave; rejects with what the server said. */
  readonly done: Promise<Buffer>;
  readonly #text: string;
  readonly #lines: readonly string[];
  readonly #failWith: string | undefined;
  readonly #received: Buffer[] = [];
  #failure: Error | undefined;
  #settle: () => void = () => undefined;

  /** `failWith`: give up with CopyFail after the lines instead of ending the copy. */
  constructor(text: string, lines: readonly string[] = [], failWith?: string) {
    this.#text = text;
    this.#lines = lines;
    this.#failWith = failWith;
    this.done = new Promise((resolve, reject) => {
      this.#settle = () =>
        this.#failure === undefined ? resolve(Buffer.concat(this.#received)) : reject(this.#failure);
    });
  }

  submit(connection: pg.Connection): void {
    (connection as unknown as Wire).query(this.#text);
  }

  handleCopyInResponse(connection: Wire): void {
    for (const line of this.#lines) connection.sendCopyFromChunk(Buffer.from(line));
    if (this.#failWith === undefined) connection.endCopyFrom();
    else connection.sendCopyFail(this.#failWith);
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    this.#received.push(Buffer.from(chunk));
  }

  handleError(error: Error): void {
    this.#failure = error;
    // node-postgres sends ReadyForQuery to nobody after an error that ended a query.
    this.#settle();
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  handleCommandComplete(): void {
    // ReadyForQuery follows.
  }
}
