/**
 * The checksum of a registry: the same at everyone who has the same paths and values, in whatever order they
 * came. 64 bits, the exclusive or of one digest per entry, so that a change costs one entry, not all.
 */
import { createHash } from "node:crypto";

export const emptyChecksum = 0n;

/** One entry's share: adding it and taking it away are both `checksum ^ share`. */
export function toEntryChecksum(path: string, value: unknown): bigint {
  return createHash("sha256")
    .update(`${path}\n${toCanonical(value)}`)
    .digest()
    .readBigUInt64BE();
}

export function toChecksumText(checksum: bigint): string {
  return checksum.toString(16).padStart(16, "0");
}

/** JSON whose keys are sorted, so that equal values have equal text. */
export function toCanonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(toCanonical).join(",")}]`;
  const pairs = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${toCanonical(member)}`);
  return `{${pairs.join(",")}}`;
}
