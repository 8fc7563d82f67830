/** A registry in memory, for tests of what is written by compare and set. */
import { NinesError } from "../std/errors.ts";
import type { Entry, View, Write } from "./view.ts";

export class MemoryRegistry implements View {
  readonly #entries = new Map<string, Entry>();
  revision = 0;
  /** Every transaction that came through. */
  readonly commits: (readonly Write[])[] = [];

  get(path: string): Entry | undefined {
    return this.#entries.get(path);
  }

  list(prefix: string): readonly Entry[] {
    const found = [...this.#entries.values()].filter((entry) => entry.path.startsWith(prefix));
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** All or nothing; throws `conflict`. */
  transact(writes: readonly Write[]): number {
    for (const write of writes) {
      const had = this.#entries.get(write.path)?.revision ?? 0;
      if (write.ifRevision !== undefined && write.ifRevision >= 0 && had > write.ifRevision) {
        throw new NinesError("conflict", `${write.path} is at ${had}, not at ${write.ifRevision}`);
      }
    }
    this.revision++;
    for (const write of writes) {
      if (write.kind === "remove") this.#entries.delete(write.path);
      if (write.kind !== "set") continue;
      const value: unknown = JSON.parse(JSON.stringify(write.value));
      this.#entries.set(write.path, { path: write.path, value, revision: this.revision });
    }
    this.commits.push(writes);
    return this.revision;
  }
}
