/** What a role may ask; pure. A viewer reads, but nothing that may hold a secret. */
import { NinesError } from "../std/errors.ts";
import type { Principal } from "../wire/tokens.ts";

/** Reads of what apps were given or hold, and a run, whose handshake is a GET. */
const secret = [/^\/v1\/(apps|jobs|buffer)\/.+\/(config|run|output|dead)$/, /^\/v1\/tokens(\/|$)/];
/** Questions that are too long for a URL. */
const asked = [/^\/v1\/flags\/.+\/explain$/, /^\/v1\/assert-tests$/];

export function mayAsk({ role }: Principal, method: string, pathname: string): boolean {
  if (role === "admin") return true;
  // As the router reads it: an escaped letter is that letter.
  const path = toDecoded(pathname);
  if (path === undefined) return false;
  const isRead = method === "GET" || method === "HEAD";
  if (!isRead) return method === "POST" && asked.some((one) => one.test(path));
  return !secret.some((one) => one.test(path));
}

/** Throws `forbidden`. */
export function checkRole(principal: Principal, method: string, pathname: string): void {
  if (mayAsk(principal, method, pathname)) return;
  const isRead = method === "GET" || method === "HEAD";
  const what = isRun(pathname) ? "runs nothing" : isRead ? "may not read this" : "changes nothing";
  throw new NinesError("forbidden", `the token "${principal.name}" is a ${principal.role}'s and ${what}`, {
    hint: "nines tokens add NAME --role admin makes one that may",
  });
}

function isRun(pathname: string): boolean {
  return /^\/v1\/apps\/[^/]+\/run$/.test(toDecoded(pathname) ?? "");
}

function toDecoded(pathname: string): string | undefined {
  try {
    // A path that ends otherwise than the router sees it is decided as the stricter of both.
    return decodeURIComponent(pathname).replace(/\/+$/, "");
  } catch {
    return undefined;
  }
}
