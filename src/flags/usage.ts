/** Who asks for which flag, counted where it is asked; handed over now and then. */
export interface UsageCount {
  readonly key: string;
  readonly app: string;
  readonly count: number;
  /** Of these, how often it was the variant that the flag grows to. */
  readonly grown: number;
}

/** Of different flags and apps between two hand-overs; what is beyond is told, and not counted. */
export const usageMax = 10_000;

export class Usage {
  #counts = new Map<string, Map<string, { count: number; grown: number }>>();
  #size = 0;
  /** Counts that found no place. */
  dropped = 0;

  add(app: string, key: string, count = 1, grown = 0): void {
    let keys = this.#counts.get(app);
    if (keys === undefined) this.#counts.set(app, (keys = new Map()));
    const before = keys.get(key);
    if (before === undefined && this.#size >= usageMax) {
      this.dropped += count;
      return;
    }
    if (before === undefined) {
      this.#size++;
      keys.set(key, { count, grown });
      return;
    }
    before.count += count;
    before.grown += grown;
  }

  /** Everything counted since it was last asked. */
  take(): readonly UsageCount[] {
    const counts = this.#counts;
    this.#counts = new Map();
    this.#size = 0;
    return [...counts].flatMap(([app, keys]) => [...keys].map(([key, counts]) => ({ key, app, ...counts })));
  }
}
