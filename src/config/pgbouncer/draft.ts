/**
 * The configuration that a pgbouncer.ini becomes, while it is made: values as YAML has them, with the line that each is from.
 * load.ts reads it as if it had been a YAML file; to-yaml.ts prints it. Made by translate.ts.
 */
import type { Place } from '../place.ts';

export type Path = readonly string[];

/** Where a value is from, for messages and for comments. */
export interface Origin {
  readonly place: Place | undefined;
  /** The line in the file, without secrets, or what the value is otherwise. */
  readonly text: string;
}

export type Section = Record<string, unknown>;

const separator = '\0';

export class Draft {
  readonly root: Section = {};
  /** Each with its place. */
  readonly problems: string[] = [];
  /** Keys without effect, and what is different here: one line each. */
  readonly notes: string[] = [];
  private readonly origins = new Map<string, Origin>();
  private readonly label: string;

  constructor(label: string) {
    this.label = label;
  }

  set(path: Path, value: unknown, origin: Origin): void {
    let map = this.root;
    for (const name of path.slice(0, -1)) {
      // Not `in`: a database may be called constructor.
      if (!Object.hasOwn(map, name)) define(map, name, {});
      map = map[name] as Section;
    }
    define(map, path.at(-1) ?? '', value);
    this.origins.set(path.join(separator), origin);
  }

  get(path: Path): unknown {
    let value: unknown = this.root;
    for (const name of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
      value = (value as Section)[name];
    }
    return value;
  }

  remove(path: Path): void {
    const map = this.get(path.slice(0, -1));
    if (typeof map === 'object' && map !== null) delete (map as Section)[path.at(-1) ?? ''];
  }

  originOf(path: Path): Origin | undefined {
    return this.origins.get(path.join(separator));
  }

  /** Of the value, or of what it is in; the file if it is from nowhere in it. */
  placeOf(path: Path): Place {
    for (let length = path.length; length > 0; length--) {
      const place = this.originOf(path.slice(0, length))?.place;
      if (place !== undefined) return place;
    }
    return this.label;
  }
}

/** A name such as __proto__ is a name, too. */
function define(map: Section, name: string, value: unknown): void {
  Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
}
