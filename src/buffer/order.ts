/**
 * Which write of a target comes next. Of each key one is out at a time, and none passes another; a refused one
 * holds its key until its pause is over. Writes without a key go in the order of their ids, and wait for nobody.
 *
 * What waits behind a busy key is known by its id alone beyond the first few (a stub), and is loaded when its
 * turn comes: a long key costs numbers, not bodies, and leaves the room to others. No clock and no database:
 * the caller supplies both.
 */
import { loadedPerKeyMax } from "./limits.ts";
import type { StoredWrite } from "./port.ts";

interface Entry {
  readonly id: number;
  readonly key: string | undefined;
  /** Undefined: a stub. */
  write: StoredWrite | undefined;
}

/** Writes of one key: the first is the one that is out, or next. */
interface Line {
  readonly entries: Entry[];
  loaded: number;
}

export class Order {
  readonly #known = new Map<number, Entry>();
  readonly #lines = new Map<string, Line>();
  /** May go out now, in this order. */
  #ready: Entry[] = [];
  #readyAt = 0;
  /** Their turn has come, but not their body. */
  #missing = new Set<Entry>();
  readonly #delayed = new Map<Entry, number>();
  #dueAt = Number.POSITIVE_INFINITY;
  #loaded = 0;
  #bytes = 0;

  get loaded(): number {
    return this.#loaded;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get stubs(): number {
    return this.#known.size - this.#loaded;
  }
  has(id: number): boolean {
    return this.#known.has(id);
  }
  /** The lowest id that it knows; Infinity when it knows none. */
  lowest(): number {
    return least(this.#known.keys());
  }

  /** Takes a fetched write; ids of one key must come in order. `until` is when it may go out first. */
  add(write: StoredWrite, until: number): void {
    if (this.#known.has(write.id)) return;
    const entry: Entry = { id: write.id, key: write.key, write: undefined };
    this.#known.set(entry.id, entry);
    if (write.key !== undefined) {
      const line = this.#lines.get(write.key);
      if (line !== undefined) {
        const delayed = this.#delayed.has(line.entries[0] as Entry);
        // Behind a stub none is loaded: bodies are for those whose turn comes first.
        if (!delayed && line.loaded < Math.min(loadedPerKeyMax, line.entries.length + 1)) {
          if (line.loaded === line.entries.length) this.#fill(entry, write, line);
        }
        line.entries.push(entry);
        return;
      }
      this.#lines.set(write.key, { entries: [entry], loaded: 0 });
    }
    if (until > 0) {
      this.#postpone(entry, until);
      return;
    }
    this.#fill(entry, write, this.#lineOf(entry));
    this.#ready.push(entry);
  }

  /** Takes what was fetched, but for what is delivered and only not removed yet. */
  take(writes: readonly StoredWrite[], delivered: { has(id: number): boolean }, now: number): void {
    for (const write of writes) {
      if (!delivered.has(write.id)) this.add(write, write.waitMs > 0 ? now + write.waitMs : 0);
    }
  }

  /** The next write that may go out. It stays known until it is settled, delayed or returned. */
  next(now: number): StoredWrite | undefined {
    if (now >= this.#dueAt) this.#release(now);
    const entry = this.#ready[this.#readyAt];
    if (entry === undefined) return undefined;
    this.#readyAt++;
    if (this.#readyAt === this.#ready.length || this.#readyAt > 4_096) {
      this.#ready.splice(0, this.#readyAt);
      this.#readyAt = 0;
    }
    return entry.write;
  }

  /** It was not delivered, through no fault of its own: it is the next of its key again. */
  return(id: number): void {
    const entry = this.#known.get(id);
    if (entry === undefined) return;
    const at = this.#readyAt;
    if (at > 0) this.#ready[--this.#readyAt] = entry;
    else this.#ready.unshift(entry);
  }

  /** It was refused: its key waits until then. */
  delay(id: number, until: number): void {
    const entry = this.#known.get(id);
    if (entry === undefined) return;
    // The bodies may wait in the database as well as here.
    for (const one of this.#lineOf(entry)?.entries ?? [entry]) this.#empty(one);
    this.#postpone(entry, until);
  }

  /** It is delivered, or buried: the next of its key may come. */
  settle(id: number): void {
    const entry = this.#known.get(id);
    if (entry === undefined) return;
    const line = this.#lineOf(entry);
    this.#empty(entry);
    this.#known.delete(id);
    if (line === undefined || entry.key === undefined) return;
    line.entries.shift();
    const following = line.entries[0];
    if (following === undefined) this.#lines.delete(entry.key);
    else if (following.write === undefined) this.#missing.add(following);
    else this.#ready.push(following);
  }

  get missingCount(): number {
    return this.#missing.size;
  }

  /** Ids whose turn has come and whose bodies are to be loaded, each with some that follow it. */
  missing(limit: number): readonly number[] {
    const ids: number[] = [];
    for (const entry of this.#missing) {
      const ahead = this.#lineOf(entry)?.entries.slice(0, loadedPerKeyMax) ?? [entry];
      for (const one of ahead) {
        if (ids.length >= limit) return ids;
        if (one.write === undefined) ids.push(one.id);
      }
    }
    return ids;
  }

  /** Takes what was loaded for `missing`. What was asked for and did not come is gone: somebody delivered it. */
  fill(asked: readonly number[], writes: readonly StoredWrite[]): void {
    const found = new Map(writes.map((write) => [write.id, write]));
    for (const id of asked) {
      const entry = this.#known.get(id);
      if (entry === undefined || entry.write !== undefined) continue;
      const write = found.get(id);
      const line = this.#lineOf(entry);
      if (write === undefined) {
        this.#missing.delete(entry);
        if (line === undefined || line.entries[0] === entry) this.settle(id);
        else {
          line.entries.splice(line.entries.indexOf(entry), 1);
          this.#known.delete(id);
        }
        continue;
      }
      this.#fill(entry, write, line);
      if (this.#missing.delete(entry)) this.#ready.push(entry);
    }
  }

  /** When the first of the delayed may go out; Infinity when none is. */
  get dueAt(): number {
    return this.#dueAt;
  }

  get readyCount(): number {
    return this.#ready.length - this.#readyAt;
  }

  #postpone(entry: Entry, until: number): void {
    this.#delayed.set(entry, until);
    this.#dueAt = Math.min(this.#dueAt, until);
  }

  #release(now: number): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    for (const [entry, until] of this.#delayed) {
      if (until > now) {
        this.#dueAt = Math.min(this.#dueAt, until);
        continue;
      }
      this.#delayed.delete(entry);
      this.#missing.add(entry);
    }
  }

  #lineOf(entry: Entry): Line | undefined {
    return entry.key === undefined ? undefined : this.#lines.get(entry.key);
  }

  #fill(entry: Entry, write: StoredWrite, line: Line | undefined): void {
    entry.write = write;
    this.#loaded++;
    this.#bytes += write.body.byteLength;
    if (line !== undefined) line.loaded++;
  }

  #empty(entry: Entry): void {
    if (entry.write === undefined) return;
    this.#loaded--;
    this.#bytes -= entry.write.body.byteLength;
    entry.write = undefined;
    const line = this.#lineOf(entry);
    if (line !== undefined) line.loaded--;
  }
}

export function least(ids: Iterable<number>): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (const id of ids) if (id < lowest) lowest = id;
  return lowest;
}
