/** A valve's settings worked out into what is looked at for each call; pure. */
import type { ValveSettings } from "../wire/valve.ts";
import type { Bounds } from "./adaptive.ts";
import type { KeyLimits } from "./keys.ts";
import { type Rate, toRate } from "./rate.ts";

export interface Limits {
  readonly settings: ValveSettings;
  readonly rate: Rate | undefined;
  /** Infinity is no limit; where it is adaptive, what it starts with does not stand here. */
  readonly concurrency: number;
  readonly bounds: Bounds | undefined;
  /** Share of the limits that calls which are not critical may use. */
  readonly share: number;
  readonly keys: KeyLimits | undefined;
}

/** `processes` is how many share the limits of a fleet. */
export function toLimits(settings: ValveSettings, processes: number): Limits {
  const parts = settings.scope === "fleet" ? Math.max(1, processes) : 1;
  const { concurrency, keyConcurrency } = settings;
  const divided = (count: number) => (count === 0 ? 0 : Math.max(1, Math.floor(count / parts)));
  const rate = toRate(
    settings.rate === null ? null : settings.rate / parts,
    settings.perMs,
    settings.burst === 0 ? 0 : divided(settings.burst),
  );
  const keyed =
    settings.keyRate !== null || keyConcurrency !== null || Object.keys(settings.multipliers).length > 0;
  const isAdaptive = typeof concurrency === "object" && concurrency !== null;
  return {
    settings,
    rate,
    concurrency: typeof concurrency === "number" ? divided(concurrency) : Number.POSITIVE_INFINITY,
    bounds: isAdaptive ? { min: divided(concurrency.min), max: divided(concurrency.max) } : undefined,
    share: 1 - settings.reserve,
    keys: keyed
      ? {
          rate: toRate(
            settings.keyRate === null ? null : settings.keyRate / parts,
            settings.perMs,
            settings.keyBurst === 0 ? 0 : divided(settings.keyBurst),
          ),
          concurrency: keyConcurrency === null ? null : divided(keyConcurrency),
          multipliers: settings.multipliers,
        }
      : undefined,
  };
}
