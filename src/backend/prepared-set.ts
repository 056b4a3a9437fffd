/**
 * Which of Weir's prepared statements one server connection has, least recently used first.
 * Only the bookkeeping: whoever gets a name to close sends the Close.
 */
export class PreparedSet {
  /** Identity of the unnamed statement. */
  unnamed: unknown = undefined;
  private readonly names = new Set<string>();
  private readonly limit: number;

  /** @param limit max_prepared_statements */
  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.names.size;
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  /** Is it there? It becomes the most recently used. */
  use(name: string): boolean {
    if (!this.names.delete(name)) return false;
    this.names.add(name);
    return true;
  }

  /** Notes a new one; returns the name that has to be closed for it, if any. */
  add(name: string): string | undefined {
    let evicted: string | undefined;
    if (this.names.size >= this.limit) {
      evicted = this.names.values().next().value;
      if (evicted !== undefined) this.names.delete(evicted);
    }
    this.names.add(name);
    return evicted;
  }

  list(): string[] {
    return [...this.names];
  }

  /** It is there after all: its Close was skipped. */
  restore(name: string): void {
    this.names.add(name);
  }

  delete(name: string): void {
    this.names.delete(name);
  }

  /** DEALLOCATE ALL, DISCARD ALL. */
  clear(): void {
    this.names.clear();
  }
}
