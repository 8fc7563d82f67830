/**
 * A replica's copy on disk: one JSON file, replaced whole. When it was last known to be current is the file's
 * modification time, so that saying so again costs no rewriting.
 */
import { statSync, utimesSync } from "node:fs";
import { readJson, writeJson } from "../std/file.ts";
import { emptyChecksum, toChecksumText, toEntryChecksum } from "../wire/checksum.ts";
import type { Entry, Snapshot } from "./registry.ts";

const format = 1;

export type DiskCopy =
  | { readonly kind: "copy"; readonly snapshot: Snapshot; readonly currentAt: number }
  | { readonly kind: "missing" }
  /** Cut off, garbage, altered, or of a later version: worth a report, and nothing else. */
  | { readonly kind: "unusable"; readonly reason: string };

export function loadCopy(file: string): DiskCopy {
  const stored = readJson(file);
  if (stored.kind === "missing") return stored;
  if (stored.kind === "damaged") return { kind: "unusable", reason: stored.reason };
  try {
    const snapshot = parseCopy(stored.value);
    return { kind: "copy", snapshot, currentAt: statSync(file).mtimeMs };
  } catch (error) {
    return { kind: "unusable", reason: `${file}: ${(error as Error).message}` };
  }
}

export function saveCopy(file: string, snapshot: Snapshot, checksum: string, currentAt: Date): void {
  const entries = snapshot.entries.map(({ path, value, revision }) => [path, value, revision]);
  writeJson(file, { format, revision: snapshot.revision, checksum, entries }, { mode: 0o600 });
  touchCopy(file, currentAt);
}

/** Says that the copy on disk is still current. */
export function touchCopy(file: string, currentAt: Date): void {
  utimesSync(file, currentAt, currentAt);
}

function parseCopy(value: unknown): Snapshot {
  const given = (value ?? {}) as Record<string, unknown>;
  if (given.format !== format) throw new Error(`format ${String(given.format)} is not ${format}`);
  if (!Number.isSafeInteger(given.revision) || !Array.isArray(given.entries)) throw new Error("not a copy");
  let checksum = emptyChecksum;
  const entries = given.entries.map((row: unknown): Entry => {
    const [path, content, revision] = Array.isArray(row) ? row : [];
    if (typeof path !== "string" || content == null || typeof revision !== "number") {
      throw new Error(`not an entry: ${JSON.stringify(row)?.slice(0, 80)}`);
    }
    checksum ^= toEntryChecksum(path, content);
    return { path, value: content, revision };
  });
  if (toChecksumText(checksum) !== given.checksum) throw new Error("its checksum does not match its entries");
  return { revision: given.revision as number, entries };
}
