/**
 * Determines the facts of a text: scans it (about a microsecond), looks up the key of its template, and calls PostgreSQL's
 * parser only for a new key. If the facts depend on constants (SET x = 'v'), the text without comments is the key. All
 * caches are bounded. A text that cannot be analyzed becomes one statement of kind 'unknown' with the reason, an empty text
 * one of kind 'empty'. Called by the session for every Query and Parse.
 */
import { isUtf8 } from 'node:buffer';
import { LRUCache } from 'lru-cache';
import { firstKeyword, stripComments } from './comments.ts';
import { unknownStatement, UnsupportedSyntax } from './draft.ts';
import { extractStatements } from './extract.ts';
import type { Classified, Classifier, QueryFacts, StatementFacts } from './facts.ts';
import { readHints } from './hints.ts';
import { loadParser } from './parser.ts';
import type { SqlParser } from './parser.ts';
import { Reading } from './reading.ts';
import { RecentTexts } from './recent-texts.ts';
import { MALFORMED, Scanner } from './scanner.ts';
import { toParsable, toTemplate } from './template.ts';
import { trim } from '../util/trim.ts';

export interface ClassifierOptions {
  /** Templates whose facts are kept. */
  readonly maxTemplates?: number;
  /** Texts whose facts are kept because they depend on constants. */
  readonly maxTexts?: number;
  /** Limit of each of the two caches, in bytes (roughly). */
  readonly maxCacheBytes?: number;
  /** Longer texts are parsed only if they are no longer than this without constants and comments. */
  readonly maxParseBytes?: number;
  /** Longer texts are not even scanned. */
  readonly maxScanBytes?: number;
  /** Default: loadParser(). */
  readonly parser?: SqlParser;
}

/** Entry of a template whose facts depend on constants: each text is parsed separately. */
const BY_TEXT = Symbol('by text');
type Entry = Classified | typeof BY_TEXT;

/** Parse time grows with the square of the length of such a sequence: seconds for 16 KB. No operator is that long. */
const ENDLESS_OPERATOR = /[-+*/<>=~!@#%^&|`?]{500}/;
const NOT_READY = 'the parser is being loaded again';
const ENTRY_BYTES = 1000;
const ITEM_BYTES = 120;

export async function createClassifier(options: ClassifierOptions = {}): Promise<Classifier> {
  return new TemplateClassifier(options.parser ?? (await loadParser()), options);
}

class TemplateClassifier implements Classifier {
  readonly #parser: SqlParser;
  readonly #scanner: Scanner;
  readonly #templates: LRUCache<string, Entry>;
  readonly #texts: LRUCache<string, Classified>;
  readonly #recent = new RecentTexts();
  readonly #maxParseBytes: number;
  readonly #maxScanBytes: number;
  readonly #maxCacheBytes: number;
  /** Less than that while memory is short. */
  #allowedBytes: number;

  constructor(parser: SqlParser, options: ClassifierOptions) {
    const maxSize = options.maxCacheBytes ?? 16 * 1024 * 1024;
    this.#parser = parser;
    this.#maxCacheBytes = this.#allowedBytes = maxSize;
    this.#maxParseBytes = options.maxParseBytes ?? 16 * 1024;
    this.#maxScanBytes = options.maxScanBytes ?? 256 * 1024;
    this.#scanner = new Scanner(this.#maxParseBytes);
    this.#templates = new LRUCache<string, Entry>({
      max: options.maxTemplates ?? 10_000,
      maxSize,
      sizeCalculation: sizeOf,
    });
    this.#texts = new LRUCache<string, Classified>({
      max: options.maxTexts ?? 2_000,
      maxSize,
      sizeCalculation: sizeOf,
    });
  }

  classify(sql: Buffer): Classified {
    return this.#recent.find(sql) ?? this.#classify(sql);
  }

  #classify(sql: Buffer): Classified {
    if (sql.length > this.#maxScanBytes) return this.#unread(sql, `longer than ${this.#maxScanBytes} bytes`);
    if (!isUtf8(sql) || sql.includes(0)) return this.#unread(sql, 'not valid UTF-8 text');
    const scanner = this.#scanner;
    const length = scanner.scan(sql);
    const found = this.#find(sql, length);
    const { comments } = scanner;
    const hints = comments.hasAny ? readHints(sql, comments.leadEnd, comments.tailStart) : undefined;
    const classified = hints === undefined ? found : { facts: found.facts, hints };
    // A text that could not be parsed is tried again the next time.
    if (found.facts.unparsed !== undefined) return classified;
    // A comment may be another each time, such as a traceparent.
    if (scanner.hasConstants || comments.hasAny) this.#recent.noteIfRepeated(sql, classified);
    else this.#recent.note(sql, classified);
    return classified;
  }

  #find(sql: Buffer, length: number): Classified {
    if (length === MALFORMED) return this.#unread(sql, this.#scanner.problem);
    if (length < 0) return this.#byText(sql, undefined);
    if (length > this.#maxParseBytes) {
      return this.#unread(sql, `longer than ${this.#maxParseBytes} bytes without its constants`);
    }
    const key = this.#scanner.key.toString('latin1', 0, length);
    const entry = this.#templates.get(key);
    if (entry === BY_TEXT) return this.#byText(sql, key);
    if (entry !== undefined) return entry;
    if (!this.#parser.isReady) return this.#unread(sql, NOT_READY);
    const learned = this.#learn(key);
    return learned === BY_TEXT ? this.#byText(sql, key) : learned;
  }

  #learn(key: string): Entry {
    const text = decodeKey(key);
    const template = toTemplate(text);
    const reading = new Reading(this.#scanner.hasConstants);
    const facts = this.#read(toParsable(text), template, reading);
    // A syntax error may come from a stand-in, or from this text alone, so it must not count for the whole template.
    const isFinal = facts.unparsed === undefined && !reading.needsText;
    const entry: Entry = isFinal ? { facts, hints: undefined } : BY_TEXT;
    this.#keep(this.#templates, key, entry);
    return entry;
  }

  /** `key` is undefined for a text that has no template. */
  #byText(sql: Buffer, key: string | undefined): Classified {
    const bare = this.#scanner.comments.hasAny ? stripComments(sql) : sql;
    if (bare.length > this.#maxParseBytes) return this.#unread(sql, `longer than ${this.#maxParseBytes} bytes`);
    const textKey = bare.toString('latin1');
    const known = this.#texts.get(textKey);
    if (known !== undefined) return known;
    if (!this.#parser.isReady) return this.#unread(sql, NOT_READY);
    const template = key === undefined ? firstKeyword(sql) : toTemplate(decodeKey(key));
    const classified = { facts: this.#read(bare.toString(), template, new Reading(false)), hints: undefined };
    this.#keep(this.#texts, textKey, classified);
    return classified;
  }

  #read(text: string, template: string, reading: Reading): QueryFacts {
    if (text === '') return { template, statements: [unknownStatement('empty', '')], unparsed: undefined };
    if (ENDLESS_OPERATOR.test(text)) return unknownFacts(template, text, 'an operator of more than 500 characters');
    const { tree, problem } = this.#parser.parse(text);
    if (problem !== undefined) return unknownFacts(template, text, problem);
    try {
      const statements = extractStatements(tree, reading);
      if (statements.length === 0) statements.push(unknownStatement('empty', ''));
      return { template, statements, unparsed: undefined };
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      const reason = error instanceof UnsupportedSyntax ? `uses ${words}` : `nested too deeply: ${words}`;
      return unknownFacts(template, text, reason);
    }
  }

  /** Shared by all texts with the same first keyword and reason, so that no number of them fills memory. */
  #unread(sql: Buffer, reason: string): Classified {
    const verb = firstKeyword(sql);
    const key = `\0${verb}\0${reason}`;
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const classified = unknownText(sql, reason);
    this.#keep(this.#texts, key, classified);
    return classified;
  }

  keepShare(share: number): number {
    this.#allowedBytes = this.#maxCacheBytes * share;
    return trim(this.#templates, this.#allowedBytes) + trim(this.#texts, this.#allowedBytes);
  }

  #keep<V extends Entry>(cache: LRUCache<string, V>, key: string, entry: V): void {
    cache.set(key, entry);
    if (cache.calculatedSize > this.#allowedBytes) trim(cache, this.#allowedBytes);
  }
}

/**
 * The result for a text that is not analyzed, such as those of a session with standard_conforming_strings = off: a
 * backslash there escapes the quote after it, so the scanner and the parser would see other string ends than the server.
 */
export function unknownText(sql: Buffer, reason: string): Classified {
  const verb = firstKeyword(sql);
  const facts = { template: verb, statements: [unknownStatement('unknown', verb)], unparsed: reason };
  return { facts, hints: undefined };
}

function unknownFacts(template: string, text: string, unparsed: string): QueryFacts {
  const verb = firstKeyword(Buffer.from(text.slice(0, 1000)));
  return { template, statements: [unknownStatement('unknown', verb)], unparsed };
}

/** Keys hold one character a byte, so that making one costs no decoding. */
function decodeKey(key: string): string {
  return Buffer.from(key, 'latin1').toString('utf8');
}

function sizeOf(entry: Entry, key: string): number {
  if (entry === BY_TEXT) return key.length + ITEM_BYTES;
  const { statements, template } = entry.facts;
  return statements.reduce(
    (sum, statement) => sum + itemsOf(statement) * ITEM_BYTES,
    key.length + template.length + ENTRY_BYTES,
  );
}

function itemsOf(s: StatementFacts): number {
  return (
    4 +
    (s.body?.length ?? 0) / ITEM_BYTES +
    s.reads.length +
    s.writes.length +
    s.functions.length +
    s.operators.length +
    s.casts.length +
    s.textCasts.length +
    s.settings.length
  );
}
