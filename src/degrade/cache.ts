/** The latest copies, with when they were read; the least recently used goes first. */
export interface Copy<T> {
  readonly value: T;
  readonly at: number;
}

export class Cache<T> {
  readonly #entriesMax: number;
  readonly #copies = new Map<string, Copy<T>>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#copies.size;
  }

  get(key: string): Copy<T> | undefined {
    const copy = this.#copies.get(key);
    if (copy === undefined) return undefined;
    // A Map keeps the order of insertion: used is newest.
    this.#copies.delete(key);
    this.#copies.set(key, copy);
    return copy;
  }

  set(key: string, value: T, at: number): void {
    if (this.#entriesMax === 0) return;
    this.#copies.delete(key);
    this.#copies.set(key, { value, at });
    if (this.#copies.size <= this.#entriesMax) return;
    const oldest = this.#copies.keys().next();
    if (!oldest.done) this.#copies.delete(oldest.value);
  }

  delete(key: string): void {
    this.#copies.delete(key);
  }
}
