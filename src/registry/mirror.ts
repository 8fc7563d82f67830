/** A copy of the registry in memory: what a feed serves from and what a replica answers from. */
import { emptyChecksum, toChecksumText, toEntryChecksum } from "../wire/checksum.ts";
import type { Change, Entry, Snapshot } from "./registry.ts";

interface Held {
  readonly entry: Entry;
  /** Its share of the checksum: dear to work out, and needed again when the entry goes. */
  readonly share: bigint;
}

export class Mirror {
  readonly #held = new Map<string, Held>();
  #revision = 0;
  #checksum = emptyChecksum;
  /** Paths in order, for prefixes; made when asked for, dropped when paths come or go. */
  #order: readonly string[] | undefined;

  get revision(): number {
    return this.#revision;
  }

  /** Equal at everyone who has the same paths and values. */
  get checksum(): string {
    return toChecksumText(this.#checksum);
  }

  get size(): number {
    return this.#held.size;
  }

  get(path: string): Entry | undefined {
    return this.#held.get(path)?.entry;
  }

  /** All entries, in no order; later changes do not show in it. */
  entries(): readonly Entry[] {
    return Array.from(this.#held.values(), ({ entry }) => entry);
  }

  /** Entries whose path starts with the text, by path. */
  list(prefix: string): readonly Entry[] {
    this.#order ??= [...this.#held.keys()].sort();
    const found: Entry[] = [];
    for (let i = firstAtOrAfter(this.#order, prefix); i < this.#order.length; i++) {
      const path = this.#order[i] ?? "";
      if (!path.startsWith(prefix)) break;
      const held = this.#held.get(path);
      if (held !== undefined) found.push(held.entry);
    }
    return found;
  }

  /** Applies the changes of one commit. */
  apply(revision: number, changes: readonly Change[]): void {
    for (const { path, value } of changes) this.#put(path, value, revision);
    this.#revision = revision;
  }

  /** Becomes the snapshot; returns what differs from before. */
  become(snapshot: Snapshot): readonly Change[] {
    const differing: Change[] = [];
    const named = new Set<string>();
    for (const { path, value, revision } of snapshot.entries) {
      named.add(path);
      // A path's revision does not tell: the database may have been restored, and gone on from there.
      if (this.#put(path, value, revision)) differing.push({ path, value });
    }
    for (const path of [...this.#held.keys()]) {
      if (named.has(path)) continue;
      differing.push({ path, value: null });
      this.#put(path, null, snapshot.revision);
    }
    this.#revision = snapshot.revision;
    return differing;
  }

  /** True when the value is another than before. */
  #put(path: string, value: unknown, revision: number): boolean {
    const old = this.#held.get(path);
    if (old !== undefined) this.#checksum ^= old.share;
    if (value === null) {
      this.#held.delete(path);
      if (old !== undefined) this.#order = undefined;
      return old !== undefined;
    }
    const share = toEntryChecksum(path, value);
    this.#checksum ^= share;
    this.#held.set(path, { entry: { path, value, revision }, share });
    if (old === undefined) this.#order = undefined;
    return old?.share !== share;
  }
}

function firstAtOrAfter(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? "") < text) low = middle + 1;
    else high = middle;
  }
  return low;
}
