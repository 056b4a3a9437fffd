/**
 * The classification of texts that cannot be read: only their beginning is here, or their bytes may mean something else than they
 * seem to (session/client-record.ts). They may do anything, like what they are classified as; only statistics, the log and spans
 * say their first word. Made by app/services.ts.
 */
import { firstKeyword } from './comments.ts';
import type { Classified, Classifier, UnreadClassifier } from './facts.ts';

/** Facts are found by their object, so there may not be many. */
const mostVerbs = 64;

/** Also matches inside a string constant: an unnecessary pin does less harm than lost session state. */
const sessionWord =
  /\b(?:set|reset|set_config|listen|unlisten|prepare|execute|deallocate|discard|temp|temporary|hold|load|setseed)\b|advisory/i;

export class UnreadTexts implements UnreadClassifier {
  private readonly calling: Family;
  private readonly leavingState: Family;

  /** @param functionCall that of a FunctionCall: it may do anything, but leaves nothing in the session */
  constructor(classifier: Classifier, functionCall: Classified) {
    this.calling = new Family(functionCall);
    this.leavingState = new Family(classifier.classify(Buffer.from("DO 'LISTEN anything'")));
  }

  of(sql: Buffer): Classified {
    return (sessionWord.test(sql.toString('latin1')) ? this.leavingState : this.calling).of(sql);
  }

  ofPiece(beginning: Buffer): Classified {
    return this.calling.of(beginning);
  }
}

/** What is classified alike, by its first word. */
class Family {
  private readonly like: Classified;
  private readonly byVerb = new Map<string, Classified>();

  constructor(like: Classified) {
    this.like = like;
  }

  of(sql: Buffer): Classified {
    const word = firstKeyword(sql);
    const verb = this.byVerb.has(word) || this.byVerb.size < mostVerbs ? word : '';
    const known = this.byVerb.get(verb);
    if (known !== undefined) return known;
    const made = { ...this.like, facts: { ...this.like.facts, unreadVerb: verb } };
    this.byVerb.set(verb, made);
    return made;
  }
}
