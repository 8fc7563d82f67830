/** What went wrong in the database, in the words of Nines. */
import { NinesError, systemCode, toError } from "../std/errors.ts";

/** SQLSTATEs that callers can tell apart; everything else is `internal`. */
const byState: Readonly<Record<string, "conflict" | "too_large" | "invalid" | "timeout" | "unavailable">> = {
  NN001: "conflict",
  NN002: "conflict",
  NN003: "too_large",
  // Text that JSON allows and jsonb does not: NUL, lone surrogates.
  "22P02": "invalid",
  "22P05": "invalid",
  "22021": "invalid",
  // Statement or lock timeout, deadlock.
  "57014": "timeout",
  "55P03": "timeout",
  "40P01": "timeout",
  // Shutting down, crashed, starting, being dropped; read-only because it is a standby; disk or memory full.
  "57P01": "unavailable",
  "57P02": "unavailable",
  "57P03": "unavailable",
  "57P04": "unavailable",
  "25006": "unavailable",
  "53100": "unavailable",
  "53200": "unavailable",
  "53300": "unavailable",
};

/** Any error of the client library as a NinesError; `what` was being done. */
export function toStoreError(thrown: unknown, what: string): NinesError {
  if (thrown instanceof NinesError) return thrown;
  const cause = toError(thrown);
  const code = systemCode(thrown) ?? "";
  // The library's own codes, and the system's, are words; a lost connection is class 08.
  const lost = code.startsWith("08") || /^[A-Z]+_?[A-Z_]+$/.test(code);
  const known = byState[code] ?? (lost ? "unavailable" : "internal");
  const refusal = known === "conflict" || known === "too_large";
  const text = refusal ? cause.message : `database: ${what}: ${cause.message}`;
  return new NinesError(known, isFull(code, cause) ? `the database has no room on its disk: ${what}` : text, {
    blame: refusal || known === "invalid" ? "client" : "platform",
    cause,
    ...(isFull(code, cause)
      ? { hint: "make room; nothing that was taken is lost, and all goes on by itself" }
      : {}),
  });
}

/** Class 53; a server that could not write its log says so with other codes, and then ends. */
function isFull(code: string, { message }: Error): boolean {
  return code === "53100" || message.includes("No space left on device");
}
