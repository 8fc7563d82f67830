/** Turns a transaction's writes into what the database function takes; refuses what can be refused without it. */
import type { Write } from "../registry/registry.ts";
import { NinesError } from "../std/errors.ts";
import { toEntryChecksum } from "../wire/checksum.ts";
import { parsePath } from "../wire/path.ts";

export const valueBytesMax = 256 * 1024;
export const writesMax = 256;
export const transactionBytesMax = 1024 * 1024;
const writerCharsMax = 200;

/** Who writes: 1 to 200 characters. */
export function parseWriter(by: string): string {
  if (by.length >= 1 && by.length <= writerCharsMax) return by;
  throw new NinesError("invalid", `by: expected 1 to ${writerCharsMax} characters, found ${by.length}`);
}

/** JSON for `nines.registry_transact`. Throws `invalid` or `too_large`, naming the path. */
export function toWritesText(writes: readonly Write[]): string {
  if (writes.length > writesMax) {
    throw new NinesError("too_large", `${writes.length} writes in one transaction, more than ${writesMax}`);
  }
  const seen = new Set<string>();
  const rows = writes.map((write) => {
    const path = parsePath(write.path);
    if (seen.has(path)) throw new NinesError("invalid", `${path} occurs twice in one transaction`);
    seen.add(path);
    const allowed = write.ifRevision ?? -1;
    if (!Number.isSafeInteger(allowed) || allowed < -1) {
      throw new NinesError("invalid", `${path}: ifRevision ${allowed} is not a revision`);
    }
    const row = { kind: write.kind, path, if: allowed };
    return write.kind === "set" ? { ...row, ...toStoredValue(path, write.value) } : row;
  });
  const text = JSON.stringify(rows);
  if (Buffer.byteLength(text) > transactionBytesMax) {
    throw new NinesError("too_large", `a transaction has more than ${transactionBytesMax} bytes`);
  }
  return text;
}

function toStoredValue(path: string, value: unknown): { value: unknown; checksum: string } {
  const text = JSON.stringify(value);
  if (text === undefined || text === "null") {
    throw new NinesError("invalid", `${path}: the value is ${text ?? "nothing that JSON can say"}`, {
      hint: "to have nothing there, remove it",
    });
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > valueBytesMax) {
    throw new NinesError("too_large", `${path}: the value has ${bytes} bytes, more than ${valueBytesMax}`);
  }
  // Summed over what readers will get: after JSON, so without undefined members and with dates as text.
  const stored: unknown = JSON.parse(text);
  return { value: stored, checksum: BigInt.asIntN(64, toEntryChecksum(path, stored)).toString() };
}
