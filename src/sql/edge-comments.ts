/**
 * Where the comments before the first and after the last token of a text are: hints stand there (hints.ts). One object per
 * scanner, used again for each text. Written by scanner.ts.
 */
export class EdgeComments {
  /** Whether there is a comment anywhere in the text. */
  hasAny = false;
  /** Bytes 0..leadEnd hold nothing but comments, white space and semicolons. */
  leadEnd = 0;
  /** The same for the bytes from here to the end. */
  tailStart = 0;
  /** Length of the key when the comments at the end began; if the key has grown since then, a token came after them. */
  #keyLengthAtTail = -1;

  restart(textLength: number): void {
    this.hasAny = false;
    this.leadEnd = 0;
    this.tailStart = textLength;
    this.#keyLengthAtTail = -1;
  }

  /** A comment is at `start`..`end` of the text. */
  add(start: number, end: number, keyLength: number): void {
    this.hasAny = true;
    if (keyLength === 0) this.leadEnd = end;
    else if (this.#keyLengthAtTail !== keyLength) {
      this.#keyLengthAtTail = keyLength;
      this.tailStart = start;
    }
  }

  /** Whether no token has come since the last comment. */
  isTailAt(keyLength: number): boolean {
    return this.#keyLengthAtTail === keyLength;
  }

  /** Notes that the key has grown by a semicolon, which may stand between the comments at the end of the text. */
  extendTail(keyLength: number): void {
    this.#keyLengthAtTail = keyLength;
  }

  finish(keyLength: number, textLength: number): void {
    if (this.#keyLengthAtTail !== keyLength) this.tailStart = textLength;
  }
}
