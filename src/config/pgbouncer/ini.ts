/**
 * Reads the lines of a pgbouncer.ini and of the files that it includes, by the rules of PgBouncer's documentation: sections,
 * `key = value`, comments on lines of their own, names in double quotes, %include. Called by translate.ts.
 */
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Place } from '../place.ts';

export interface IniLine {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  readonly place: Place;
}

export interface IniText {
  readonly lines: readonly IniLine[];
  /** Each with its place. */
  readonly problems: readonly string[];
}

/** As many as PgBouncer allows, so that a file that includes itself ends. */
const deepestInclude = 10;
/** Bounds memory; no real configuration is longer. */
const longestText = 16 * 1024 * 1024;
const sections = ['databases', 'users', 'pgbouncer', 'peers'];

/** A line that only pgbouncer.ini can have, before any other line. */
const firstLine =
  /^(?:\s*(?:[;#][^\n]*)?\n)*\s*(?:%include\s|\[\s*(?:databases|users|pgbouncer|peers)\s*\]\s*(?:[;#\n]|$))/;

/** Whether the file is a pgbouncer.ini, by its name or by its first line. */
export function isIni(file: string | undefined, text: string): boolean {
  return file?.toLowerCase().endsWith('.ini') === true || firstLine.test(text.slice(0, 64 * 1024));
}

/** How a file is called in messages. */
export function labelOfFile(file: string): string {
  const name = relative(process.cwd(), resolve(file));
  return name === '' || name.startsWith('..') ? file : name;
}

/** Never throws. Lists all problems instead of ending at the first one. */
export function readIni(text: string, label: string): IniText {
  const reader = new IniReader();
  reader.read(text, label, 1);
  return reader;
}

class IniReader implements IniText {
  readonly lines: IniLine[] = [];
  readonly problems: string[] = [];
  /** Of the line that is read; an included file may end in another one, which goes on. undefined: none yet, or an unknown one. */
  private section: string | undefined;
  private isIgnored = false;

  read(text: string, label: string, depth: number): void {
    if (text.length > longestText) {
      this.problems.push(`${label}: the file is larger than 16 MB`);
      return;
    }
    text
      .replace(/^\uFEFF/, '')
      .split('\n')
      .forEach((line, index) => this.readLine(line.trim(), `${label}:${index + 1}`, depth));
  }

  private readLine(line: string, place: Place, depth: number): void {
    if (line === '' || line.startsWith(';') || line.startsWith('#')) return;
    if (line.startsWith('[')) this.enter(line, place, depth);
    else if (/^%include\s/.test(line)) this.include(line.slice('%include'.length).trim(), place, depth);
    else this.keep(line, place);
  }

  private enter(line: string, place: Place, depth: number): void {
    const end = line.indexOf(']');
    if (end === -1) {
      this.problems.push(`${place}: syntax error in configuration: a section ends with ]`);
      return;
    }
    const name = line.slice(1, end).trim();
    this.isIgnored = !sections.includes(name);
    this.section = name;
    if (this.isIgnored) {
      this.problems.push(`${place}: unknown section [${name.slice(0, 80)}]: ${sections.join(', ')}`);
    }
    this.readLine(line.slice(end + 1).trim(), place, depth);
  }

  /** The name is relative to the working directory, as in PgBouncer. */
  private include(file: string, place: Place, depth: number): void {
    if (depth >= deepestInclude) {
      this.problems.push(`${place}: %include ${file}: files include each other too deeply (${deepestInclude})`);
      return;
    }
    try {
      this.read(readFileSync(resolve(file), 'utf8'), labelOfFile(file), depth + 1);
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
      this.problems.push(`${place}: %include ${file}: the file ${why}`);
    }
  }

  private keep(line: string, place: Place): void {
    const match = /^(?:"((?:[^"]|"")+)"|([\w.*-]+))[ \t]*=[ \t]*(.*)$/.exec(line);
    if (match === null) {
      this.problems.push(`${place}: syntax error in configuration: this is not key = value`);
      return;
    }
    const key = match[1]?.replaceAll('""', '"') ?? match[2] ?? '';
    if (this.section === undefined) this.problems.push(`${place}: ${key}: value without section`);
    else if (!this.isIgnored) this.lines.push({ section: this.section, key, value: match[3] ?? '', place });
  }
}
