/**
 * The names of the prepared statements that a server connection has, least recently used first. Sends nothing: whoever gets
 * a name from add() must send the Close. Used by request/prepared/.
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

  /** Is it there? If so, it becomes the most recently used. */
  use(name: string): boolean {
    if (!this.names.delete(name)) return false;
    this.names.add(name);
    return true;
  }

  /** Notes a new one. Returns the name of another one that has to be closed, if there are too many. */
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

  /** The server has skipped its Close, so it is still there. */
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
