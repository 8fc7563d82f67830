/**
 * Sticky sessions, for apps that ask for them: a cookie names the instance that a client began with. It is a
 * wish, not a promise: when that instance is not there any more, another takes over and the cookie changes.
 */
import { isText, SP } from "./characters.ts";
import type { Target } from "./target.ts";

const cookie = "nines-instance=";
const semicolon = 59;

/** The instance that a Cookie header names, bytes[from..to]; undefined when it names none that is routable. */
export function findSticky(
  bytes: Buffer,
  from: number,
  to: number,
  routable: readonly Target[],
  now: number,
): Target | undefined {
  for (let at = from; at < to; at++) {
    while (at < to && bytes[at] === SP) at++;
    const end = toPairEnd(bytes, at, to);
    if (end - at > cookie.length && isText(bytes, at, cookie)) {
      const id = bytes.toString("latin1", at + cookie.length, end).trimEnd();
      return routable.find((target) => target.instance.id === id && target.quarantinedUntil <= now);
    }
    at = end;
  }
  return undefined;
}

/** The line that makes a client come back to this instance. */
export function toStickyLine(target: Target, protocol: "http" | "https"): string {
  const secure = protocol === "https" ? "; Secure" : "";
  return `Set-Cookie: ${cookie}${target.instance.id}; Path=/; HttpOnly; SameSite=Lax${secure}\r\n`;
}

function toPairEnd(bytes: Buffer, from: number, to: number): number {
  const at = bytes.indexOf(semicolon, from);
  return at < 0 || at > to ? to : at;
}
