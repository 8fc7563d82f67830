/** A part of the registry as a feed of its own: what lies at and below a path, named from its base on; pure. */
import { type FeedRecord, parseFeedRecord } from "../wire/feed.ts";
import { toLine } from "./outlet.ts";
import type { Entry } from "./registry.ts";

export interface Section {
  /** Left away from the paths: `/apps/shop/data/`. */
  readonly base: string;
  /** `stock`: itself and what lies below `stock/`; empty for all of the base. */
  readonly under: string;
}

/** The path as the section has it; undefined when it is outside. */
export function toOwnPath({ base, under }: Section, path: string): string | undefined {
  if (!path.startsWith(base)) return undefined;
  const own = path.slice(base.length);
  return under === "" || own === under || own.startsWith(`${under}/`) ? own : undefined;
}

export function toOwnEntries(section: Section, entries: readonly Entry[]): readonly Entry[] {
  return entries.flatMap((entry) => {
    const path = toOwnPath(section, entry.path);
    return path === undefined ? [] : [{ ...entry, path }];
  });
}

/** A commit's lines without what is outside; empty when all of it is. */
export function toOwnLines(section: Section, text: string): string {
  // Most commits are about other things, and this costs nothing.
  if (!text.includes(`"${section.base}`)) return "";
  const changes = text
    .split("\n")
    .filter((line) => line !== "")
    .map(parseFeedRecord)
    .filter((record): record is Extract<FeedRecord, { kind: "change" }> => record.kind === "change")
    .flatMap(({ more: _, ...change }) => {
      const path = toOwnPath(section, change.path);
      return path === undefined ? [] : [{ ...change, path }];
    });
  return changes
    .map((change, at) => toLine(at < changes.length - 1 ? { ...change, more: true } : change))
    .join("");
}
