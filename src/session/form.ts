/** Of which messages a request is made, and which prepared statements they name. Both grow as the messages come. */
import type { Classified } from '../sql/facts.ts';
import type { Statement } from './statements.ts';

export type Letter = 'Q' | 'F' | 'P' | 'B' | 'b' | 'S' | 'D' | 'E' | 'e' | 'C';

export class Form {
  bytes = 0;
  /** A letter for each message, for the key in the cache. It may be long: ask the fields below whether a letter is in it. */
  shape = '';
  /** It has Query, FunctionCall or Execute, and not only what prepares or describes. */
  executes = false;
  /** Which portals its Bind messages make; `unnamed`: the unnamed one among them. */
  private portals: 'none' | 'named' | 'unnamed' = 'none';
  /** A Query or FunctionCall. */
  isSimple = false;
  /** Some message of it is passed on in pieces: it cannot be sent twice, and nobody has seen all of it. */
  isStreamed = false;
  /** Number of its statements that Weir answers itself (weir.* settings). */
  locals = 0;

  /** It has Bind. */
  get binds(): boolean {
    return this.portals !== 'none';
  }

  /** It has Bind of the unnamed portal. */
  get bindsUnnamed(): boolean {
    return this.portals === 'unnamed';
  }

  /** One message more. */
  note(letter: Letter): void {
    // A FunctionCall has no letter: there is nothing of it to be cached.
    if (letter !== 'F') this.shape += letter;
    if (letter === 'E' || letter === 'e' || letter === 'Q' || letter === 'F') this.executes = true;
    if (letter === 'Q' || letter === 'F') this.isSimple = true;
    if (letter === 'B') this.portals = 'unnamed';
    else if (letter === 'b' && this.portals === 'none') this.portals = 'named';
  }
}

/** The prepared statements that a request names. */
export class NamesUsed {
  /** Statements that its own Parse messages make, by the client's name. */
  parsed: Map<string, Classified> | undefined;
  /** The last statement that it uses and does not parse itself. */
  uses: Statement | undefined;
  /** It has Parse or Close of a statement. */
  makes = false;
  /** It uses a statement that it does not parse itself, and whose meaning depends on how the requests before it end. */
  needs = false;

  /** Has it Parse of a statement with a name? */
  get parsesNamed(): boolean {
    return this.parsed !== undefined && (this.parsed.size > 1 || !this.parsed.has(''));
  }
}
