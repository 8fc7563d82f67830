/** Who is told of alerts: records of receivers, checked; and their addresses as people may see them. */
import { NinesError, toError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import { assertName, type ReceiverKind, type ReceiverRecord, receiverKinds } from "../wire/asserts.ts";
import { parseMatchers } from "./parser.ts";

const urlsMax = 5;
const groupByMax = 10;
const dayMs = 86_400_000;

type Pace = Pick<ReceiverRecord, "groupWaitMs" | "groupIntervalMs" | "repeatIntervalMs">;

/** An Alertmanager groups and repeats by itself, and forgets what it is not told again. */
export function toPace(kind: ReceiverKind): Pace {
  if (kind === "alertmanager") return { groupWaitMs: 0, groupIntervalMs: 1_000, repeatIntervalMs: 60_000 };
  if (kind === "heartbeat") return { groupWaitMs: 0, groupIntervalMs: 0, repeatIntervalMs: 30_000 };
  return { groupWaitMs: 200, groupIntervalMs: 10_000, repeatIntervalMs: dayMs / 6 };
}

const limits: Readonly<Record<keyof Pace, readonly [number, number]>> = {
  groupWaitMs: [0, 600_000],
  groupIntervalMs: [0, 600_000],
  repeatIntervalMs: [1_000, 7 * dayMs],
};

/** Throws `invalid`, naming the receiver, the field and the reason. */
export function parseReceiver(name: string, value: unknown): ReceiverRecord {
  if (!assertName.test(name) || name.length > 40) {
    throw new NinesError("invalid", `"${name.slice(0, 80)}" cannot be the name of a receiver`, {
      hint: "lower-case letters, digits, '.', '-' and '_', starting with a letter, at most 40",
    });
  }
  const place = `receiver ${name}`;
  const shape = new Shape(value, place);
  const kind = shape.word("kind", receiverKinds);
  const pace = toPace(kind);
  const within = (key: keyof Pace): number => {
    const [min, max] = limits[key];
    const number = shape.number(key, pace[key]);
    if (number >= min && number <= max) return number;
    throw new NinesError("invalid", `${place}.${key}: expected a number from ${min} to ${max}`);
  };
  const given = value as { readonly urls?: unknown; readonly groupBy?: unknown };
  const urls = toStrings(given.urls, `${place}.urls`, urlsMax);
  if (urls.length === 0 || (urls.length > 1 && kind !== "alertmanager")) {
    const count = kind === "alertmanager" ? "1 to 5 addresses" : "one address";
    throw new NinesError("invalid", `${place}.urls: expected ${count}, found ${urls.length}`);
  }
  for (const url of urls) checkUrl(kind, url, `${place}.urls`);
  const matchers = shape.string("matchers", "");
  try {
    parseMatchers(matchers);
  } catch (cause) {
    throw new NinesError("invalid", `${place}.matchers: ${toError(cause).message}`, { cause });
  }
  return {
    kind,
    urls,
    matchers,
    groupBy:
      kind === "alertmanager"
        ? []
        : toStrings(given.groupBy ?? ["app", "alertname"], `${place}.groupBy`, groupByMax),
    groupWaitMs: within("groupWaitMs"),
    groupIntervalMs: within("groupIntervalMs"),
    repeatIntervalMs: within("repeatIntervalMs"),
    sendResolved: shape.boolean("sendResolved", true),
  };
}

/** Where its notices go in the write buffer, one target for each address. */
export function toTargets(
  name: string,
  { kind, urls }: ReceiverRecord,
): readonly { name: string; url: string }[] {
  if (kind === "heartbeat") return [];
  return urls.map((url, index) => ({
    name: urls.length === 1 ? `alerts.${name}` : `alerts.${name}.${index + 1}`,
    url: kind === "alertmanager" ? `${url.replace(/\/+$/, "")}/api/v2/alerts` : url,
  }));
}

/** An address without what could be a secret: user, password, path and query. */
export function toMasked(url: string): string {
  if (!URL.canParse(url)) return "…";
  const { protocol, host, pathname, search, username } = new URL(url);
  const user = username === "" ? "" : "…@";
  return `${protocol}//${user}${host}${pathname.length > 1 || search !== "" ? "/…" : ""}`;
}

function checkUrl(kind: ReceiverKind, url: string, place: string): void {
  const schemes = kind === "smtp" ? ["smtp:", "smtps:"] : ["http:", "https:"];
  if (URL.canParse(url) && url.length <= 2_000 && schemes.includes(new URL(url).protocol)) {
    const { searchParams } = new URL(url);
    if (kind !== "smtp" || (searchParams.has("to") && searchParams.has("from"))) return;
    throw new NinesError("invalid", `${place}: ${toMasked(url)} does not say from whom and to whom`, {
      hint: "smtp://user:password@host:587?from=nines@example.com&to=me@example.com",
    });
  }
  // Never the address itself: it may hold a secret.
  throw new NinesError("invalid", `${place}: expected ${schemes.join("// or ")}//…`, {
    hint: kind === "smtp" ? "smtp://user:password@host:587?from=…&to=…" : "https://example.com/hook",
  });
}

function toStrings(value: unknown, place: string, max: number): readonly string[] {
  if (!Array.isArray(value) || value.length > max || value.some((one) => typeof one !== "string")) {
    throw new NinesError("invalid", `${place}: expected a list of at most ${max} strings`);
  }
  return value as readonly string[];
}
