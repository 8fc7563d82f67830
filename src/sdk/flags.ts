/** Flags in an app's own process, from the file that the platform keeps; see sdk.ts for what is promised. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Evaluator, openEvaluator, type Resolution } from "../flags/flags.ts";
import { toError } from "../std/errors.ts";
import { type FlagDocument, flagFileVersion } from "../wire/flags.ts";
import { WatchedFile } from "./flag-file.ts";
import { createProvider, type Provider } from "./flag-provider.ts";
import type { FlagContext, FlagDetails, Flags } from "./sdk.ts";

/** By key; by key and variant. */
export type FlagReport = (
  counts: Readonly<Record<string, number>>,
  variants: Readonly<Record<string, Readonly<Record<string, number>>>>,
) => Promise<boolean>;

interface Counted {
  count: number;
  readonly variants: Map<string, number>;
}

export interface FlagsOptions {
  /** Undefined: there is none, and every answer is the default of the code. */
  readonly file: string | undefined;
  readonly log: (line: string) => void;
  /** Hands over how often each flag was asked for, and how often it was which variant; false when that must be tried again. */
  readonly report: FlagReport | undefined;
}

const reportEveryMs = 10_000;
/** Keys that are counted; what else is asked for is evaluated all the same. */
const countedMax = 1_000;
const none: FlagContext = Object.freeze({});

export interface RunningFlags extends Flags {
  /** Tells what was counted, and reads no more. */
  close(): Promise<void>;
}

export async function startFlags(options: FlagsOptions): Promise<RunningFlags> {
  return new FileFlags(options, await openEvaluator());
}

/** The platform's file; without one that of the working folder, if there is one now. */
export function toFlagFile(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (env.FLAGD_OFFLINE_FLAG_SOURCE_PATH) return env.FLAGD_OFFLINE_FLAG_SOURCE_PATH;
  const own = join(process.cwd(), "flags.json");
  return existsSync(own) ? own : undefined;
}

class FileFlags implements RunningFlags {
  readonly #options: FlagsOptions;
  readonly #evaluator: Evaluator;
  readonly #file: WatchedFile | undefined;
  readonly #callbacks = new Set<(keys: readonly string[]) => void>();
  readonly #timer: NodeJS.Timeout | undefined;
  #counts = new Map<string, Counted>();
  #known: FlagDocument["flags"] = {};
  #provider: Provider | undefined;
  #version = 0;
  #ready = false;

  constructor(options: FlagsOptions, evaluator: Evaluator) {
    this.#options = options;
    this.#evaluator = evaluator;
    const { file, report } = options;
    this.#file = file === undefined ? undefined : new WatchedFile(file, (text) => this.#load(text));
    if (report !== undefined) this.#timer = setInterval(() => void this.#report(), reportEveryMs);
    this.#timer?.unref();
  }

  get version(): number {
    return this.#version;
  }

  get ready(): boolean {
    return this.#ready;
  }

  boolean(key: string, fallback: boolean, context: FlagContext = none): boolean {
    const { value } = this.#evaluate(key, context);
    return typeof value === "boolean" ? value : fallback;
  }

  string(key: string, fallback: string, context: FlagContext = none): string {
    const { value } = this.#evaluate(key, context);
    return typeof value === "string" ? value : fallback;
  }

  number(key: string, fallback: number, context: FlagContext = none): number {
    const { value } = this.#evaluate(key, context);
    return typeof value === "number" ? value : fallback;
  }

  object<T extends object>(key: string, fallback: T, context: FlagContext = none): T {
    const { value } = this.#evaluate(key, context);
    return typeof value === "object" && value !== null ? (value as T) : fallback;
  }

  details<T>(key: string, fallback: T, context: FlagContext = none): FlagDetails<T> {
    const { value, metadata, variant, reason, errorCode, errorMessage } = this.#evaluate(key, context);
    const found = { value: fallback, reason, metadata, ...(variant === undefined ? {} : { variant }) };
    if (errorCode !== undefined) return { ...found, errorCode, errorMessage: errorMessage ?? "" };
    if (value === undefined) return found;
    if (typeof value === typeof fallback) return { ...found, value: value as T };
    return {
      value: fallback,
      reason: "ERROR",
      metadata,
      errorCode: "TYPE_MISMATCH",
      errorMessage: `"${key}" is a ${typeof value}, the code expects a ${typeof fallback}`,
    };
  }

  onChange(callback: (keys: readonly string[]) => void): { close(): void } {
    this.#callbacks.add(callback);
    return { close: () => void this.#callbacks.delete(callback) };
  }

  get provider(): Provider {
    this.#provider ??= createProvider(this);
    return this.#provider;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#file?.close();
    this.#callbacks.clear();
    await this.#report();
  }

  #evaluate(key: string, context: FlagContext): Resolution {
    const resolution = this.#evaluator.evaluate(key, context);
    this.#add(key, resolution.variant, 1);
    return resolution;
  }

  #load(text: string): void {
    let changed: readonly string[];
    try {
      const document = JSON.parse(text) as FlagDocument;
      if (typeof document.flags !== "object" || document.flags === null) throw new Error("it has no flags");
      for (const problem of this.#evaluator.load(document))
        this.#options.log(`flag kept as it was: ${problem}`);
      changed = toChanged(this.#known, document.flags);
      this.#known = document.flags;
      this.#version = flagFileVersion(document);
      this.#ready = true;
    } catch (error) {
      this.#options.log(`flags kept as they were, ${this.#options.file}: ${toError(error).message}`);
      return;
    }
    for (const callback of this.#callbacks) {
      try {
        callback(changed);
      } catch (error) {
        this.#options.log(`a handler of changed flags failed: ${toError(error).message}`);
      }
    }
  }

  async #report(): Promise<void> {
    const { report } = this.#options;
    const taken = this.#counts;
    if (report === undefined || taken.size === 0) return;
    this.#counts = new Map();
    const counts = [...taken].map(([key, { count }]) => [key, count] as const);
    const variants = [...taken].map(([key, one]) => [key, Object.fromEntries(one.variants)] as const);
    const told = await report(Object.fromEntries(counts), Object.fromEntries(variants)).catch(() => false);
    if (told) return;
    for (const [key, one] of taken) {
      this.#add(key, undefined, one.count);
      for (const [variant, count] of one.variants) this.#add(key, variant, count, 0);
    }
  }

  #add(key: string, variant: string | undefined, count: number, asked = count): void {
    let counted = this.#counts.get(key);
    if (counted === undefined) {
      if (this.#counts.size >= countedMax) return;
      counted = { count: 0, variants: new Map() };
      this.#counts.set(key, counted);
    }
    counted.count += asked;
    if (variant !== undefined) counted.variants.set(variant, (counted.variants.get(variant) ?? 0) + count);
  }
}

function toChanged(before: FlagDocument["flags"], now: FlagDocument["flags"]): readonly string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keys].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
}
