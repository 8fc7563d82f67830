/**
 * Keys for asking for flags over HTTP, made as all credentials of apps are. An app's opens evaluation and nothing
 * else, as it may end up in a browser; the one in the URL of the events opens these alone, as URLs end up in logs.
 */
import type { Asker } from "../flags/flags.ts";
import { isSame, readCredential } from "../wire/credential.ts";

/** Who asks with the token of the platform itself. */
export const tokenHolder: Asker = { app: "nines" };

/** Who holds the key; undefined when it is nobody's. */
export function toAsker(
  secret: string,
  token: string,
  key: string,
  where: "header" | "url",
): Asker | undefined {
  if (where === "header" && isSame(key, token)) return tokenHolder;
  const uses = where === "url" ? (["flag-events"] as const) : (["flags", "api"] as const);
  for (const use of uses) {
    const app = readCredential(key, secret, use);
    if (app !== undefined) return { app };
  }
  return undefined;
}
