/**
 * A queue in a ring buffer that grows; items leave at either end. Removes items without moving the others, and keeps no
 * reference to removed items.
 */
export class Ring<T> {
  private items: (T | undefined)[] = new Array<T | undefined>(4);
  private head = 0;
  private count = 0;

  get length(): number {
    return this.count;
  }

  push(item: T): void {
    if (this.count === this.items.length) this.grow();
    this.items[(this.head + this.count) & (this.items.length - 1)] = item;
    this.count++;
  }

  peek(): T | undefined {
    return this.count === 0 ? undefined : this.items[this.head];
  }

  /** @param index 0: the head */
  at(index: number): T | undefined {
    return index < 0 || index >= this.count ? undefined : this.items[(this.head + index) & (this.items.length - 1)];
  }

  /** From the head on. */
  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.count; i++) yield this.at(i) as T;
  }

  last(): T | undefined {
    return this.at(this.count - 1);
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head = (this.head + 1) & (this.items.length - 1);
    this.count--;
    return item;
  }

  /** Removes the last item. */
  pop(): T | undefined {
    if (this.count === 0) return undefined;
    const at = (this.head + this.count - 1) & (this.items.length - 1);
    const item = this.items[at];
    this.items[at] = undefined;
    this.count--;
    return item;
  }

  /** Removes the items for which `keep` returns false; the others stay in order. */
  filter(keep: (item: T) => boolean): void {
    const kept = this.count;
    for (let i = 0; i < kept; i++) {
      const item = this.shift() as T;
      if (keep(item)) this.push(item);
    }
  }

  clear(): void {
    while (this.shift() !== undefined);
  }

  private grow(): void {
    const old = this.items;
    const grown = new Array<T | undefined>(old.length * 2);
    for (let i = 0; i < this.count; i++) grown[i] = old[(this.head + i) & (old.length - 1)];
    this.items = grown;
    this.head = 0;
  }
}
