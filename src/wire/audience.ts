/**
 * Who belongs to a stage of a rollout, or gets a flag that grows; pure, and the same for routers and flags.
 *
 * First the list of those who are let in by name; then a share of all, by a bucket that a key falls into:
 * flagd's fractional v2, `murmur3(seed + key) × total >> 32`, with those who get the new first. So the same
 * seed and key fall into the same bucket everywhere, and whoever is in stays in while the share grows.
 */
import { NinesError } from "../std/errors.ts";
import { murmur3 } from "../std/murmur3.ts";
import { isWithin, type Network, parseNetwork } from "../std/network.ts";

/** Header and cookie names to the values that let in; `*` is any value. Header names in lower case. */
export type Passes = Readonly<Record<string, readonly string[]>>;

export interface Audience {
  readonly headers?: Passes;
  readonly cookies?: Passes;
  /** Keys that are let in: what the sticky header or cookie holds. */
  readonly users?: readonly string[];
  /** `10.0.0.0/8` */
  readonly addresses?: readonly string[];
  /** Of all, 0 to 100; two digits after the point count. */
  readonly percent: number;
}

/** Where a request says whose it is. */
export interface Sticky {
  readonly kind: "header" | "cookie";
  readonly name: string;
}

/** Who asks, as far as an audience wants to know. */
export interface Person {
  /** Falls into the bucket. */
  readonly key: string;
  readonly address: string;
  header(name: string): string | undefined;
  cookie(name: string): string | undefined;
}

export const nobody: Audience = { percent: 0 };
export const everybody: Audience = { percent: 100 };

/** Weights of a share are in hundredths of a percent. */
export const totalWeight = 10_000;
const itemsMax = 1_000;
const textMax = 200;
const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;

/** The share as a weight out of `totalWeight`, which is what flags are written with. */
export function toWeight(percent: number): number {
  return Math.min(totalWeight, Math.max(0, Math.round(percent * (totalWeight / 100))));
}

/** 0 to `total` - 1; `total` at most 2²⁰. */
export function toBucket(seed: string, key: string, total: number = totalWeight): number {
  return Math.floor((murmur3(seed + key) * total) / 2 ** 32);
}

export function isInShare(seed: string, key: string, percent: number): boolean {
  return toBucket(seed, key) < toWeight(percent);
}

/** An audience made ready for many questions. */
export function toAdmission(audience: Audience, seed: string): (person: Person) => boolean {
  const networks = (audience.addresses ?? [])
    .map(parseNetwork)
    .filter((network): network is Network => network !== undefined);
  const users = new Set(audience.users ?? []);
  const headers = Object.entries(audience.headers ?? {});
  const cookies = Object.entries(audience.cookies ?? {});
  const weight = toWeight(audience.percent);
  return (person) =>
    weight === totalWeight ||
    users.has(person.key) ||
    headers.some(([name, values]) => passes(values, person.header(name))) ||
    cookies.some(([name, values]) => passes(values, person.cookie(name))) ||
    (networks.length > 0 && isWithin(person.address, networks)) ||
    (weight > 0 && toBucket(seed, person.key) < weight);
}

/** An audience out of JSON; throws `invalid` with the place. */
export function parseAudience(value: unknown, place: string): Audience {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(place, "an audience", value);
  }
  const given = value as Record<string, unknown>;
  const percent = given.percent ?? 0;
  if (typeof percent !== "number" || !(percent >= 0 && percent <= 100)) {
    throw wrong(`${place}.percent`, "a number from 0 to 100", percent);
  }
  const users = given.users === undefined ? undefined : toTexts(given.users, `${place}.users`);
  const addresses =
    given.addresses === undefined ? undefined : toTexts(given.addresses, `${place}.addresses`);
  for (const [index, address] of (addresses ?? []).entries()) {
    if (parseNetwork(address) !== undefined) continue;
    throw wrong(`${place}.addresses[${index}]`, "a range such as 10.0.0.0/8", address);
  }
  return {
    ...(given.headers === undefined ? {} : { headers: toPasses(given.headers, `${place}.headers`) }),
    ...(given.cookies === undefined ? {} : { cookies: toPasses(given.cookies, `${place}.cookies`) }),
    ...(users === undefined ? {} : { users }),
    ...(addresses === undefined ? {} : { addresses }),
    percent,
  };
}

export function parseSticky(value: unknown, place: string): Sticky {
  const { kind, name } = (value ?? {}) as Record<string, unknown>;
  if ((kind !== "header" && kind !== "cookie") || typeof name !== "string" || !token.test(name)) {
    throw wrong(place, "a header or a cookie, by name", value);
  }
  return { kind, name: kind === "header" ? name.toLowerCase() : name };
}

function passes(values: readonly string[], found: string | undefined): boolean {
  return found !== undefined && (values.includes(found) || values.includes("*"));
}

function toPasses(value: unknown, place: string): Passes {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(place, "a map of names to values", value);
  }
  const isHeaders = place.endsWith("headers");
  const entries = Object.entries(value).map(([name, values]) => {
    if (!token.test(name)) throw wrong(place, "the name of a header or a cookie", name);
    const list = toTexts(typeof values === "string" ? [values] : values, `${place}.${name}`);
    return [isHeaders ? name.toLowerCase() : name, list] as const;
  });
  return Object.fromEntries(entries);
}

function toTexts(value: unknown, place: string): readonly string[] {
  if (!Array.isArray(value) || value.length > itemsMax) {
    throw wrong(place, `a list of at most ${itemsMax}`, value);
  }
  for (const [index, text] of value.entries()) {
    if (typeof text === "string" && text !== "" && text.length <= textMax) continue;
    throw wrong(`${place}[${index}]`, `a text of 1 to ${textMax} characters`, text);
  }
  return value as string[];
}

function wrong(place: string, expected: string, found: unknown): NinesError {
  const shown = JSON.stringify(found)?.slice(0, 60) ?? "nothing";
  return new NinesError("invalid", `${place}: expected ${expected}, found ${shown}`);
}
