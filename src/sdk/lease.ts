/** A candidate for a lease, as apps see it. */
import { type Leases, startCandidate } from "../std/candidate.ts";
import { systemClock } from "../std/clock.ts";
import type { Log } from "../std/log.ts";
import type { Lease, LeaseOptions } from "./registry.ts";

const ttlMsDefault = 10_000;

export function openLease(
  leases: Leases,
  name: string,
  holder: string,
  log: Log,
  { ttlMs = ttlMsDefault }: LeaseOptions,
): Lease {
  const candidate = startCandidate({
    leases,
    lease: name,
    holder,
    clock: systemClock,
    log,
    random: Math.random,
    ttlMs,
  });
  const token = () => {
    const state = candidate.state();
    return state.kind === "leading" ? state.token : undefined;
  };
  const onChange: Lease["onChange"] = (handler) => {
    let last = token();
    const listening = candidate.onState(() => {
      const now = token();
      if (now === last) return;
      last = now;
      handler(now);
    });
    return () => listening[Symbol.dispose]();
  };
  const close = async () => candidate[Symbol.asyncDispose]();
  return {
    name,
    get token() {
      return token();
    },
    onChange,
    whenHeld: (timeoutMs) =>
      new Promise((resolve) => {
        const settle = (held: boolean) => {
          clearTimeout(timer);
          off();
          resolve(held);
        };
        const timer = setTimeout(() => settle(false), timeoutMs);
        const off = onChange((now) => now !== undefined && settle(true));
        if (token() !== undefined) settle(true);
      }),
    close,
    [Symbol.asyncDispose]: close,
  };
}
