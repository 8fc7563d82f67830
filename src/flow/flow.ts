/**
 * Flow control: valves, which say no in time.
 *
 * A valve is a named limit on one code path. Its default stands where it is made; an operator turns it while it
 * runs, in every process at once (`/valves/NAME` of the registry), with a reason and, if wanted, an end.
 *
 *     const valve = valves.define("agent.launches", { rate: 8, burst: 16, queue: 100, waitMs: 5_000 });
 *     await valve.run(() => launch(), { priority: "critical" });
 *
 * - **rate and burst** (GCRA), **concurrency** (a number, or found out while running), each with a share that only
 *   critical calls may use; limits **by key** (an app, a customer) beside those of the whole, with multipliers.
 * - **queue**: who may not pass now waits, bounded in number and time, never past its own deadline; when it is full,
 *   the least important that waits is shed for a more important call. Whoever exceeds the limit of its own key is
 *   refused at once, as it would wait for itself in front of others.
 * - **modes**: `enforce`, `shadow` (count what would be refused), `open`, `closed`.
 * - A change applies from the next call on: calls inside are never cancelled, raising a limit wakes those that wait
 *   in the same turn, lowering one gives no free burst. Settings that cannot be understood change nothing.
 * - A refusal is a `Rejection`: code `overloaded`, with `reason` and `retryAfterMs`. Nothing was done.
 *
 * `NAME@KEY` is the valve of one key of a family: it has the settings of `NAME`, then its own.
 */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import { openSettings, parseValveRecord, type ValveRecord, type ValveSettings } from "../wire/valve.ts";
import { type ValveView, valvesReportedMax } from "../wire/valve-report.ts";
import { Valve } from "./valve.ts";

export type { Priority } from "./queue.ts";
export { type Reason, Rejection } from "./rejection.ts";
export type { ValveCounts } from "./tally.ts";
export type { CallOptions, Outcome, Permit, Valve } from "./valve.ts";

export interface ValvesOptions {
  readonly clock: Clock;
  /** Keys of one valve that are remembered; default 10,000. */
  readonly keysMax?: number;
  /** A record that cannot be understood: the valve stays as it is. */
  readonly onProblem?: (name: string, reason: string) => void;
}

export interface Valves extends Disposable {
  /** The valve of this name, made when it is not there; of two defaults the first counts. */
  define(name: string, defaults?: Partial<ValveSettings>): Valve;
  get(name: string): Valve | undefined;
  list(): readonly Valve[];
  /** The operator's settings, all of them. Names that no valve has yet are kept for when one is made. */
  apply(records: Iterable<readonly [name: string, record: unknown]>): void;
  /** What an operator has turned, by valve: empty for those at their default. */
  turned(name: string): ValveRecord | undefined;
  /** What to tell of them; bounded. */
  views(): readonly ValveView[];
  /** How many processes share the limits of `scope: fleet`. */
  setProcesses(count: number): void;
}

const keysMax = 10_000;
const recheckMsMax = 3_600_000;

export function createValves(options: ValvesOptions): Valves {
  const { clock } = options;
  const made = new Map<string, { readonly valve: Valve; readonly defaults: ValveSettings }>();
  let records = new Map<string, ValveRecord>();
  let processes = 1;
  let timer: Disposable | undefined;

  const inForce = (name: string): ValveRecord | undefined => {
    const record = records.get(name);
    const isOver = record?.until !== undefined && Date.parse(record.until) <= clock.wall().getTime();
    return isOver ? undefined : record;
  };
  const family = (name: string) => (name.includes("@") ? [name.slice(0, name.indexOf("@")), name] : [name]);
  const tune = (name: string) => {
    const one = made.get(name);
    if (one === undefined) return;
    const turned = family(name).map((each) => inForce(each)?.settings ?? {});
    const settings: ValveSettings = Object.assign({ ...one.defaults }, ...turned);
    one.valve.tune(settings, processes);
  };
  const tuneAll = () => {
    for (const name of made.keys()) tune(name);
    timer?.[Symbol.dispose]();
    const now = clock.wall().getTime();
    const ends = [...records.values()].flatMap(({ until }) =>
      until === undefined ? [] : [Date.parse(until)],
    );
    const next = Math.min(...ends.filter((at) => at > now));
    if (next === Number.POSITIVE_INFINITY) return;
    // A wall clock may jump: looked at anew after an hour at the latest.
    timer = clock.after(Math.min(next - now + 1, recheckMsMax), tuneAll);
  };

  return {
    define(name, defaults = {}) {
      const known = made.get(name);
      if (known !== undefined) return known.valve;
      const settings = { ...openSettings, ...defaults };
      const valve = new Valve(name, { clock, settings, keysMax: options.keysMax ?? keysMax });
      made.set(name, { valve, defaults: settings });
      tune(name);
      return valve;
    },
    get: (name) => made.get(name)?.valve,
    list: () => [...made.values()].map(({ valve }) => valve),
    apply(given) {
      const next = new Map<string, ValveRecord>();
      for (const [name, value] of given) {
        try {
          next.set(name, parseValveRecord(value));
        } catch (error) {
          const last = records.get(name);
          if (last !== undefined) next.set(name, last);
          options.onProblem?.(name, toError(error).message);
        }
      }
      records = next;
      tuneAll();
    },
    turned: inForce,
    views: () =>
      [...made.values()].slice(0, valvesReportedMax).map(({ valve }) => {
        const { name, settings, inflight, queued, counts } = valve;
        return {
          ...{ name, settings, inflight, queued, turned: inForce(name) !== undefined },
          permitted: sum(counts.permitted),
          rejected: sum(counts.rejected),
          shadowed: counts.shadowed,
        };
      }),
    setProcesses(count) {
      if (count === processes) return;
      processes = count;
      tuneAll();
    },
    [Symbol.dispose]() {
      timer?.[Symbol.dispose]();
      for (const { valve } of made.values()) valve.close();
    },
  };
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
