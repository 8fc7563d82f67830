/** Paths, values and one revision in memory: what local mode has for a registry. */
import { NinesError } from "../std/errors.ts";
import type { Change, Entry, RegistryEvent } from "./registry.ts";

const entriesMax = 1_000;
const rememberedMax = 10_000;

interface Commit {
  readonly revision: number;
  readonly change: Change;
}

export class LocalBook {
  readonly #entries = new Map<string, Entry>();
  readonly #commits: Commit[] = [];
  readonly #listeners = new Set<(commit: Commit) => void>();
  #revision = 0;

  get revision(): number {
    return this.#revision;
  }

  get(path: string): Entry | undefined {
    return this.#entries.get(path);
  }

  list(under: string): readonly Entry[] {
    const found = [...this.#entries.values()].filter(({ path }) => isUnder(path, under));
    return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The new revision; the present one when nothing changed. */
  change(path: string, value: unknown, ifRevision: number): number {
    const old = this.#entries.get(path);
    if (ifRevision >= 0 && (old?.revision ?? 0) > ifRevision) {
      throw new NinesError("conflict", `${path} is at revision ${old?.revision}, later than ${ifRevision}`);
    }
    if (value === undefined && old === undefined) return this.#revision;
    if (old === undefined && this.#entries.size >= entriesMax) {
      throw new NinesError("too_large", `the app has ${entriesMax} entries already`);
    }
    const revision = ++this.#revision;
    if (value === undefined) this.#entries.delete(path);
    else this.#entries.set(path, { path, value, revision, ageMs: 0 });
    const commit = { revision, change: { path, value } };
    this.#commits.push(commit);
    if (this.#commits.length > rememberedMax) this.#commits.shift();
    for (const listener of [...this.#listeners]) listener(commit);
    return revision;
  }

  onChange(under: string, handler: (changes: readonly Change[], revision: number) => void): () => void {
    const listener = ({ change, revision }: Commit) => {
      // Not in the writer's own turn, as on the platform.
      if (isUnder(change.path, under)) queueMicrotask(() => handler([change], revision));
    };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async *follow(under: string, from: number | undefined, signal: AbortSignal): AsyncGenerator<RegistryEvent> {
    const waiting: Commit[] = [];
    let wake: (() => void) | undefined;
    const listener = (commit: Commit) => {
      waiting.push(commit);
      wake?.();
    };
    const remembered = this.#commits[0]?.revision ?? this.#revision + 1;
    const resumes = from !== undefined && from >= remembered;
    if (resumes) waiting.push(...this.#commits.filter(({ revision }) => revision >= from));
    this.#listeners.add(listener);
    const onAbort = () => wake?.();
    signal.addEventListener("abort", onAbort);
    try {
      if (!resumes) yield { kind: "snapshot", revision: this.#revision, entries: this.list(under) };
      while (!signal.aborted) {
        const commit = waiting.shift();
        if (commit === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        } else if (isUnder(commit.change.path, under)) {
          yield { kind: "changes", revision: commit.revision, changes: [commit.change] };
        }
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function isUnder(path: string, under: string): boolean {
  return under === "" || path === under || path.startsWith(`${under}/`);
}
