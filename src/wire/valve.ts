/**
 * `/valves/NAME`: what an operator has turned a valve to. Only what is named in it differs from the valve's
 * default, which stands in the code that owns it.
 */
import { NinesError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";

export const valveModes = ["enforce", "shadow", "open", "closed"] as const;
/** enforce: it limits. shadow: it only counts what it would refuse. open: no limit. closed: nothing passes. */
export type ValveMode = (typeof valveModes)[number];

/** Adaptive: between `min` and `max`, by how the measured time of calls grows. */
export type Concurrency = number | { readonly min: number; readonly max: number } | null;

export interface ValveSettings {
  readonly mode: ValveMode;
  /** Calls that pass in `perMs`; null is no limit. */
  readonly rate: number | null;
  readonly perMs: number;
  /** Calls that may pass at once, of those that the rate allows later; 0 is the calls of a tenth of a second, at least one. */
  readonly burst: number;
  /** Calls inside at once; null is no limit. */
  readonly concurrency: Concurrency;
  /** Calls that may wait, and how long each. */
  readonly queue: number;
  readonly waitMs: number;
  /** Who of the waiting goes first; lifo serves those that have not waited long while the others give up. */
  readonly order: "fifo" | "lifo";
  /** Share of the limits that only critical calls may use: 0 to 0.9. */
  readonly reserve: number;
  /** Of each key, beside the limits of the whole; null is no limit. */
  readonly keyRate: number | null;
  readonly keyBurst: number;
  readonly keyConcurrency: number | null;
  /** Keys whose limits are multiplied: `{"shop": 2, "abuser": 0}`. */
  readonly multipliers: Readonly<Record<string, number>>;
  /** process: each process has these limits. fleet: they are divided among the processes that live. */
  readonly scope: "process" | "fleet";
}

export const openSettings: ValveSettings = {
  mode: "enforce",
  rate: null,
  perMs: 1_000,
  burst: 0,
  concurrency: null,
  queue: 0,
  waitMs: 0,
  order: "fifo",
  reserve: 0,
  keyRate: null,
  keyBurst: 0,
  keyConcurrency: null,
  multipliers: {},
  scope: "process",
};

export interface ValveRecord {
  readonly settings: Partial<ValveSettings>;
  readonly why: string;
  readonly by: string;
  readonly at: string;
  /** Wall time from which on the default is in force again; never without it. */
  readonly until?: string;
}

/** `agent.launches`, `shop.checkout`, `router.requests@shop`. */
export const valveName = /^[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*(?:@[a-z0-9-]+)?$/;
export const valveNameChars = 120;

/** Where the record of a valve is; the `@` of a family's key is a part of its own in the path. */
export function toValvePath(name: string): string {
  if (valveName.test(name) && name.length <= valveNameChars) return `/valves/${name.replace("@", "/")}`;
  throw new NinesError("invalid", `"${name.slice(0, 60)}" cannot be the name of a valve`, {
    hint: "lower-case words with dots between them, such as agent.launches, or router.requests@shop",
  });
}

export const valvesPrefix = "/valves/";

export function toValveName(path: string): string {
  return path.slice(valvesPrefix.length).replace("/", "@");
}

const multipliersMax = 1_000;
const most = 1_000_000_000;
/** No wait outlives this: a call that waits longer than its caller is of no use. */
export const valveWaitMsMax = 600_000;
export const valveQueueMax = 100_000;

/** Throws `invalid` with the path of what is wrong. Unknown keys are refused: a limit misspelt is no limit. */
export function parseValveSettings(value: unknown, place = "valve"): Partial<ValveSettings> {
  const shape = new Shape(value, place);
  const given = value as Readonly<Record<string, unknown>>;
  const wrong = (key: string, expected: string) =>
    new NinesError("invalid", `${place}.${key}: expected ${expected}, found ${JSON.stringify(given[key])}`);
  const within = (key: string, min: number, max: number, whole: boolean) => {
    const number = given[key];
    const kind = whole ? "a whole number" : "a number";
    const fits = typeof number === "number" && number >= min && number <= max;
    if (!fits || (whole && !Number.isInteger(number))) throw wrong(key, `${kind} from ${min} to ${max}`);
  };
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(openSettings, key)) {
      const known = Object.keys(openSettings).join(", ");
      throw new NinesError("invalid", `${place}.${key}: no valve has that`, { hint: `one of ${known}` });
    }
    switch (key as keyof ValveSettings) {
      case "mode":
        shape.word("mode", valveModes);
        break;
      case "order":
        shape.word("order", ["fifo", "lifo"]);
        break;
      case "scope":
        shape.word("scope", ["process", "fleet"]);
        break;
      case "rate":
      case "keyRate":
        if (given[key] !== null) within(key, 0, most, false);
        break;
      case "keyConcurrency":
        if (given[key] !== null) within(key, 0, most, true);
        break;
      case "concurrency":
        checkConcurrency(given[key], `${place}.${key}`);
        break;
      case "perMs":
        within(key, 1, 86_400_000, true);
        break;
      case "burst":
      case "keyBurst":
        within(key, 0, most, true);
        break;
      case "queue":
        within(key, 0, valveQueueMax, true);
        break;
      case "waitMs":
        within(key, 0, valveWaitMsMax, true);
        break;
      case "reserve":
        within(key, 0, 0.9, false);
        break;
      case "multipliers":
        checkMultipliers(shape.numbers("multipliers"), `${place}.multipliers`);
        break;
    }
  }
  return given as Partial<ValveSettings>;
}

export function parseValveRecord(value: unknown): ValveRecord {
  const shape = new Shape(value, "valve");
  const until = shape.optional("until", (record) => record.string("until"));
  if (until !== undefined && Number.isNaN(Date.parse(until))) {
    throw new NinesError("invalid", `valve.until: "${until}" is no time`);
  }
  return {
    settings: parseValveSettings((value as { settings?: unknown }).settings, "valve.settings"),
    why: shape.string("why", ""),
    by: shape.string("by", "unknown"),
    at: shape.string("at", ""),
    ...(until === undefined ? {} : { until }),
  };
}

function checkConcurrency(value: unknown, place: string): void {
  if (value === null) return;
  const isCount = (number: unknown, min: number): number is number =>
    Number.isInteger(number) && (number as number) >= min && (number as number) <= most;
  if (isCount(value, 0)) return;
  const { min, max } = (value ?? {}) as { min?: unknown; max?: unknown };
  if (isCount(min, 1) && isCount(max, min)) return;
  throw new NinesError(
    "invalid",
    `${place}: expected a whole number, null, or {min, max} with 1 ≤ min ≤ max, found ${JSON.stringify(value)?.slice(0, 60)}`,
  );
}

function checkMultipliers(given: Readonly<Record<string, number>>, place: string): void {
  const entries = Object.entries(given);
  if (entries.length > multipliersMax) {
    throw new NinesError("invalid", `${place}: ${entries.length} keys, the limit is ${multipliersMax}`);
  }
  for (const [key, factor] of entries) {
    if (factor >= 0 && factor <= 1_000_000) continue;
    throw new NinesError("invalid", `${place}.${key}: expected a number from 0 to 1000000, found ${factor}`);
  }
}
