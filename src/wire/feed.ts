/**
 * The registry's changes as they cross the network: one JSON value a line.
 *
 * A feed starts with either `snapshot` (then `entry` lines, then `end`) or straight with changes; `beat`
 * lines keep it alive and carry the newest revision, the wall time of the sender, and every so often the
 * checksum of everything at that revision. Resume is inclusive: the first change may be one that the reader
 * has, so applying must be idempotent.
 */
import { Shape } from "../std/shape.ts";

export type FeedRecord =
  | { readonly kind: "snapshot"; readonly revision: number }
  /** `value: null` never occurs in a snapshot. */
  | { readonly kind: "entry"; readonly path: string; readonly value: unknown; readonly revision: number }
  | { readonly kind: "end"; readonly revision: number }
  /**
   * `value: null` is a deletion. `at` is the wall time of the commit, in ms. All changes of one commit share its
   * revision; `more` says that another of them follows, so that a reader can apply a commit as a whole.
   */
  | {
      readonly kind: "change";
      readonly path: string;
      readonly value: unknown;
      readonly revision: number;
      readonly at: number;
      readonly more?: boolean;
    }
  /** `staleMs`: how long ago the sender last heard from the database; 0 when left away. */
  | {
      readonly kind: "beat";
      readonly revision: number;
      readonly at: number;
      readonly checksum?: string;
      readonly staleMs?: number;
    };

const kinds = ["snapshot", "entry", "end", "change", "beat"] as const;

/** Throws `invalid` on a record that this version does not understand: the reader must freeze, not skip. */
export function parseFeedRecord(line: string): FeedRecord {
  const value: unknown = JSON.parse(line);
  const shape = new Shape(value, "feed");
  const kind = shape.word("kind", kinds);
  const revision = shape.number("revision");
  const payload = (value as { value?: unknown }).value ?? null;
  switch (kind) {
    case "snapshot":
    case "end":
      return { kind, revision };
    case "entry":
      return { kind, revision, path: shape.string("path"), value: payload };
    case "change": {
      const more = shape.boolean("more", false);
      const change = { kind, revision, path: shape.string("path"), value: payload, at: shape.number("at") };
      return more ? { ...change, more } : change;
    }
    case "beat": {
      const checksum = shape.optional("checksum", (beat) => beat.string("checksum"));
      const staleMs = shape.number("staleMs", 0);
      const beat = { kind, revision, at: shape.number("at"), staleMs };
      return checksum === undefined ? beat : { ...beat, checksum };
    }
  }
}
