/** The ETag of a reply: another one whenever the reply is another, whatever its age. */
import { createHash } from "node:crypto";
import { toCanonical } from "./checksum.ts";

export function toEtag(reply: object): string {
  const text = toCanonical({ ...reply, staleMs: undefined });
  return `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
}
