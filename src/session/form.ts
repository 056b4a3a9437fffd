/**
 * The messages that a request consists of, and the prepared statements that they name. Both grow as messages arrive.
 */
import type { Classified } from '../sql/facts.ts';
import type { Statement } from './statements.ts';

export type Letter = 'Q' | 'F' | 'P' | 'B' | 'b' | 'S' | 'D' | 'E' | 'e' | 'C';

export class Form {
  bytes = 0;
  /** One letter per message, for the cache key. It may be long: test the fields below instead of searching it. */
  shape = '';
  /** How many Query, FunctionCall and Execute it has; 0: it only prepares or describes. */
  executions = 0;
  /** Which portals its Bind messages make; `unnamed`: the unnamed one among them. */
  private portals: 'none' | 'named' | 'unnamed' = 'none';
  /** A Query or FunctionCall. */
  isSimple = false;
  /** A message of it is passed on in pieces: it cannot be sent again, and Weir has not seen all of it. */
  isStreamed = false;
  /** Number of its statements that Weir answers itself (weir.* settings). */
  locals = 0;

  /** It does not only prepare or describe. */
  get executes(): boolean {
    return this.executions > 0;
  }

  /** It has Bind. */
  get binds(): boolean {
    return this.portals !== 'none';
  }

  /** It has Bind of the unnamed portal. */
  get bindsUnnamed(): boolean {
    return this.portals === 'unnamed';
  }

  /** Adds a message. */
  note(letter: Letter): void {
    // A FunctionCall adds no letter, because its answer is never cached.
    if (letter !== 'F') this.shape += letter;
    if (letter === 'E' || letter === 'e' || letter === 'Q' || letter === 'F') this.executions++;
    if (letter === 'Q' || letter === 'F') this.isSimple = true;
    if (letter === 'B') this.portals = 'unnamed';
    else if (letter === 'b' && this.portals === 'none') this.portals = 'named';
  }
}

/** The prepared statements that a request names. */
export class NamesUsed {
  /** Statements that its own Parse messages make, by the client's name. */
  parsed: Map<string, Classified> | undefined;
  /** The last statement that it uses without parsing it itself. */
  uses: Statement | undefined;
  /** It has Parse or Close of a statement. */
  makes = false;
  /**
   * It uses a statement that it does not parse itself and whose meaning depends on the outcome of requests before it.
   */
  needs = false;

  /** It has a Parse of a named statement. */
  get parsesNamed(): boolean {
    return this.parsed !== undefined && (this.parsed.size > 1 || !this.parsed.has(''));
  }
}
