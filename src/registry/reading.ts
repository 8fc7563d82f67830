/**
 * Makes sense of a feed's records, whole commits and whole snapshots at a time; pure. It decides, the replica
 * acts: what cannot be understood is never skipped.
 */
import { type FeedRecord, parseFeedRecord } from "../wire/feed.ts";
import type { Change, Entry, Snapshot } from "./registry.ts";

/** A value has at most 256 KiB, and JSON may write a byte as six characters. */
export const lineCharsMax = 4 * 1024 * 1024;
export const snapshotEntriesMax = 1_000_000;

export type Step =
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | {
      readonly kind: "commit";
      readonly revision: number;
      readonly at: number;
      readonly changes: readonly Change[];
    }
  | { readonly kind: "beat"; readonly revision: number; readonly checksum?: string; readonly staleMs: number }
  | { readonly kind: "bad_record"; readonly reason: string };

export class Reading {
  #rest = "";
  #snapshot: { revision: number; entries: Entry[] } | undefined;
  #commit: { revision: number; at: number; changes: Change[] } | undefined;

  /** What the next piece of text amounts to. Nothing follows a `bad_record`. */
  *read(text: string): Generator<Step> {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > lineCharsMax) {
      return yield { kind: "bad_record", reason: `a record has more than ${lineCharsMax} characters` };
    }
    for (const line of lines) {
      let step: Step | undefined;
      try {
        step = this.#take(parseFeedRecord(line));
      } catch (error) {
        const shown = line.length > 120 ? `${line.slice(0, 120)}…` : line;
        step = { kind: "bad_record", reason: `${(error as Error).message}: ${shown}` };
      }
      if (step !== undefined) yield step;
      if (step?.kind === "bad_record") return;
    }
  }

  #take(record: FeedRecord): Step | undefined {
    switch (record.kind) {
      case "snapshot":
        this.#snapshot = { revision: record.revision, entries: [] };
        this.#commit = undefined;
        return undefined;
      case "entry": {
        const { path, value, revision } = record;
        if (this.#snapshot === undefined) throw new Error("an entry outside a snapshot");
        if (value === null) throw new Error("an entry without a value");
        if (this.#snapshot.entries.length >= snapshotEntriesMax) throw new Error("too many entries");
        this.#snapshot.entries.push({ path, value, revision });
        return undefined;
      }
      case "end": {
        const snapshot = this.#snapshot;
        this.#snapshot = undefined;
        if (snapshot?.revision !== record.revision) throw new Error("the end of no snapshot");
        return { kind: "snapshot", snapshot };
      }
      case "change": {
        this.#refuseInside("a change");
        const { revision, at, path, value } = record;
        const commit = this.#commit ?? { revision, at, changes: [] };
        if (commit.revision !== revision) throw new Error("a commit that was cut off");
        commit.changes.push({ path, value });
        this.#commit = record.more ? commit : undefined;
        return record.more ? undefined : { kind: "commit", ...commit };
      }
      case "beat": {
        this.#refuseInside("a beat");
        if (this.#commit !== undefined) throw new Error("a commit that was cut off");
        const { revision, checksum, staleMs = 0 } = record;
        return { kind: "beat", revision, staleMs, ...(checksum === undefined ? {} : { checksum }) };
      }
    }
  }

  #refuseInside(what: string): void {
    if (this.#snapshot !== undefined) throw new Error(`${what} inside a snapshot`);
  }
}
