/** The identity of an alert: a hash of its labels, the very one that Alertmanager makes. */
import type { Labels } from "./key.ts";

const offset = 0xcbf29ce484222325n;
const prime = 0x100000001b3n;

/** Sixteen hex digits: FNV-1a over the labels in order, with 255 behind each name and value. */
export function toFingerprint(labels: Labels): string {
  let hash = offset;
  const add = (bytes: Iterable<number>) => {
    for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * prime);
  };
  for (const name of Object.keys(labels).sort()) {
    add(Buffer.from(name));
    add([255]);
    add(Buffer.from(labels[name] ?? ""));
    add([255]);
  }
  return hash.toString(16).padStart(16, "0");
}
