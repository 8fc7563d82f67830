/**
 * Who may talk to the API. Browsers may not, unless the page is the API's own: a foreign `Origin` is refused,
 * and so is a `Host` that is not ours, which is what a page sees that had its name rebound to this machine.
 */
import { isIP } from "node:net";
import { NinesError } from "../std/errors.ts";
import { isSame } from "../wire/credential.ts";
import type { Principal } from "../wire/tokens.ts";
import { adminName } from "./route.ts";

export interface GuardOptions {
  /** The admin token. */
  readonly token: string;
  /** Where the API listens, and names that it is known by beside the loopback ones. */
  readonly hosts: readonly string[];
  /** The app whose credential it is; undefined when it is nobody's. */
  readonly appOf: (credential: string) => string | undefined;
  /** Whose named token it is; undefined when it is nobody's. */
  readonly principalOf: (token: string) => Principal | undefined;
}

/** Throws `forbidden` for a request that a foreign web page may have made. */
export function checkSite(request: Request, options: GuardOptions): void {
  const host = request.headers.get("host") ?? "";
  if (!isOurs(toName(host), options.hosts)) {
    throw new NinesError("forbidden", `the API does not answer to the host "${host.slice(0, 100)}"`, {
      hint: "use its address, or the name that NINES_HOST gives it",
    });
  }
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  const foreign = origin !== null && (!URL.canParse(origin) || new URL(origin).host !== host);
  if (foreign || site === "cross-site" || site === "same-site") {
    throw new NinesError("forbidden", "the API takes no requests from other web pages");
  }
}

/** Who asks. Throws `unauthorized` unless the request carries a token; takes as long whatever it carries. */
export function checkToken(request: Request, options: GuardOptions): Principal {
  const hint = "send `Authorization: Bearer TOKEN`; the token is in the file `token` of the home folder";
  const given = readBearer(request, hint);
  if (isSame(given, options.token)) return { name: adminName, role: "admin" };
  const principal = options.principalOf(given);
  if (principal !== undefined) return principal;
  throw new NinesError("unauthorized", "the token is not the one of this platform", { hint });
}

/** The app that asks. Throws `unauthorized` unless the request carries the credential of one. */
export function checkApp(request: Request, options: GuardOptions): string {
  const hint = "send `Authorization: Bearer $NINES_API_TOKEN`, as the app's environment has it";
  const app = options.appOf(readBearer(request, hint));
  if (app !== undefined) return app;
  throw new NinesError("unauthorized", "the credential is not that of an app of this platform", { hint });
}

function readBearer(request: Request, hint: string): string {
  const given = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (given !== undefined) return given;
  throw new NinesError("unauthorized", "the request carries no token", { hint });
}

function isOurs(name: string, hosts: readonly string[]): boolean {
  if (name === "localhost" || name.endsWith(".localhost") || name === "::1" || name.startsWith("127.")) {
    return name.startsWith("127.") ? isIP(name) === 4 : true;
  }
  // Listening on every address: any of them is ours, and no name can be rebound to an address.
  if (isIP(name) !== 0 && hosts.some((host) => host === "0.0.0.0" || host === "::")) return true;
  return hosts.includes(name);
}

function toName(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host)?.[1];
  return (bracketed ?? host.split(":")[0] ?? "").toLowerCase();
}
