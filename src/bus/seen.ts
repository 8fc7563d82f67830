/** Remembers ids for a while, so that what comes twice is seen to. Bounded by number and by age. */
export class Seen {
  readonly #idsMax: number;
  readonly #ageMsMax: number;
  /** Oldest first. */
  readonly #ids = new Map<string, number>();

  constructor(idsMax: number, ageMsMax: number) {
    this.#idsMax = idsMax;
    this.#ageMsMax = ageMsMax;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(id: string, now: number): boolean {
    const at = this.#ids.get(id);
    return at !== undefined && now - at <= this.#ageMsMax;
  }

  add(id: string, now: number): void {
    this.#ids.delete(id);
    this.#ids.set(id, now);
    for (const [oldest, at] of this.#ids) {
      if (this.#ids.size <= this.#idsMax && now - at <= this.#ageMsMax) break;
      this.#ids.delete(oldest);
    }
  }
}
