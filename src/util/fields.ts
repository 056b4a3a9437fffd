/**
 * Checks the shape of plain data that comes from another process, which may run another version of the code: every field
 * must be there, have the right type, and be known. Used to unpack sessions (session/packed.ts).
 */

/** The message names the field. */
export class ShapeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ShapeError';
  }
}

export class Fields {
  private readonly what: string;
  private readonly values: Readonly<Record<string, unknown>>;

  /**
   * @param what the object, for messages
   * @param names all fields that it may have
   * @throws ShapeError if it is no object, or has another field
   */
  constructor(what: string, value: unknown, names: readonly string[]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ShapeError(`${what} is not an object`);
    for (const name of Object.keys(value))
      if (!names.includes(name)) throw new ShapeError(`${what} has a field "${name}" that this version does not know`);
    this.what = what;
    this.values = value as Readonly<Record<string, unknown>>;
  }

  value(name: string): unknown {
    return this.values[name];
  }

  has(name: string): boolean {
    return this.values[name] !== undefined;
  }

  text(name: string): string {
    const value = this.values[name];
    return typeof value === 'string' ? value : this.wrong(name, 'a text');
  }

  optionalText(name: string): string | undefined {
    return this.has(name) ? this.text(name) : undefined;
  }

  number(name: string): number {
    const value = this.values[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : this.wrong(name, 'a number');
  }

  flag(name: string): boolean {
    const value = this.values[name];
    return typeof value === 'boolean' ? value : this.wrong(name, 'true or false');
  }

  /** A copy. */
  bytes(name: string): Buffer {
    const value = this.values[name];
    return value instanceof Uint8Array ? Buffer.from(value) : this.wrong(name, 'bytes');
  }

  list(name: string): readonly unknown[] {
    const value = this.values[name];
    return Array.isArray(value) ? (value as readonly unknown[]) : this.wrong(name, 'a list');
  }

  /** Lists of `width` texts. */
  rows(name: string, width: number): readonly (readonly string[])[] {
    return this.list(name).map((row) => {
      const isRow = Array.isArray(row) && row.length === width && row.every((text) => typeof text === 'string');
      return isRow ? (row as readonly string[]) : this.wrong(name, `a list of ${width} texts each`);
    });
  }

  texts(name: string): readonly string[] {
    return this.list(name).map((text) => (typeof text === 'string' ? text : this.wrong(name, 'a list of texts')));
  }

  /** One of these texts. */
  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    const found = allowed.find((text) => text === this.values[name]);
    return found ?? this.wrong(name, `one of ${allowed.join(', ')}`);
  }

  private wrong(name: string, wanted: string): never {
    throw new ShapeError(`"${name}" of ${this.what} is not ${wanted}`);
  }
}
