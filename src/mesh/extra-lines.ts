/** Lines that the router adds to the answers of apps that ask for them; pure. */
import type { Routing } from "../wire/records.ts";
import type { Member } from "./member.ts";
import { toStickyLine } from "./sticky.ts";
import type { Target } from "./target.ts";

/** `known` is the instance that the client comes back to by itself; `member` who asks during a rollout. */
export function toExtraLines(
  routing: Routing | undefined,
  protocol: "http" | "https",
  target: Target | null,
  known: Target | undefined,
  member: Member | null,
): string {
  const isNew = routing?.sticky === true && target !== null && target !== known;
  const line =
    (isNew ? toStickyLine(target, protocol) : "") + (member === null ? "" : member.toLine(protocol));
  const hstsSeconds = routing?.hstsSeconds ?? 0;
  if (hstsSeconds === 0 || protocol === "http") return line;
  return `${line}Strict-Transport-Security: max-age=${hstsSeconds}\r\n`;
}
