/** Delivers buffered writes: holds the leases of targets, and runs a lane for each. */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { Breaker } from "./breaker.ts";
import { Lane } from "./lane.ts";
import { leaseMs, renewMs } from "./limits.ts";
import type { Held, RelayStore, Sender } from "./port.ts";
import { Sweep } from "./sweep.ts";

export interface RelayOptions {
  readonly store: RelayStore;
  readonly send: Sender;
  /** `relay.1/3f9a…`: unique to this run; what is before the slash takes over from its former run at once. */
  readonly holder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

export interface Relay extends AsyncDisposable {
  /** Names of the targets that it delivers to now. */
  readonly targets: readonly string[];
}

/** Changes of the registry may mean a new target; the leases are looked at again at most so often. */
const nudgeMs = 50;

/** Starts at once and goes on for ever, whether or not the database is there. */
export function startRelay(options: RelayOptions): Relay {
  const { store, holder, clock, log, random } = options;
  const stopping = new AbortController();
  const lanes = new Map<string, Lane>();
  const sweeps = new Map<string, Sweep>();
  let nudge = new AbortController();
  let away = false;

  const sweepOf = (name: string): Sweep => {
    const known = sweeps.get(name) ?? new Sweep(name, store, clock, log);
    sweeps.set(name, known);
    return known;
  };

  const follow = async (held: readonly Held[], termEndsAt: number) => {
    const wanted = new Map(held.map((one) => [one.name, one]));
    const breakers = new Map<string, Breaker>();
    for (const [name, lane] of lanes) {
      if (wanted.get(name)?.token === lane.token) continue;
      lanes.delete(name);
      // It may have opened while the database, which knows nothing of that, was away.
      if (wanted.get(name)?.breaker.kind === "closed" && lane.breaker.kind !== "closed") {
        breakers.set(name, lane.breaker);
      }
      log.info("target_left", { target: name, token: lane.token });
      await lane.stop();
      if (!wanted.has(name) && sweeps.get(name)?.size === 0) sweeps.delete(name);
    }
    for (const one of held) {
      let lane = lanes.get(one.name);
      if (lane === undefined) {
        const held = { ...one, breaker: breakers.get(one.name) ?? one.breaker };
        lane = new Lane({ ...options, held, sweep: sweepOf(one.name) });
        lanes.set(one.name, lane);
        log.info("target_held", { target: one.name, token: one.token });
      }
      lane.renew(one, termEndsAt);
    }
  };

  const loop = async () => {
    while (!stopping.signal.aborted) {
      const askedAt = clock.now();
      nudge = new AbortController();
      const woken = nudge.signal;
      try {
        const reports = [...lanes.values()].map((lane) => lane.report());
        await follow(await store.hold(holder, leaseMs, reports), askedAt + leaseMs);
        if (away) log.info("leases_back");
        away = false;
      } catch (error) {
        // The lanes stop by themselves when their term is over.
        if (!away) log.warn("leases_not_renewed", { reason: toError(error).message });
        away = true;
      }
      const pauseMs = away ? nudgeMs * 4 : renewMs * (1 - 0.1 * random());
      const either = AbortSignal.any([stopping.signal, woken]);
      await clock.sleep(pauseMs, either).catch(() => {});
      if (woken.aborted) await clock.sleep(nudgeMs, stopping.signal).catch(() => {});
    }
  };

  const hints = store.onHint((target) => {
    // Of a target that another relay delivers to there is nothing to do.
    if (target === undefined) nudge.abort();
    else lanes.get(target)?.wake();
  });
  const running = loop();

  return {
    get targets() {
      return [...lanes.keys()];
    },
    async [Symbol.asyncDispose]() {
      hints[Symbol.dispose]();
      stopping.abort();
      await running;
      await Promise.all([...lanes.values()].map((lane) => lane.stop(true)));
      for (const sweep of sweeps.values()) sweep[Symbol.dispose]();
      await store.release(holder).catch(() => {});
    },
  };
}
