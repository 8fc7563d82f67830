/** Whether the target's instances are up, will be, or never will; pure. */
import type { Instance } from "../wire/messages.ts";
import type { Current, Rollout } from "../wire/records.ts";
import type { Evidence, Facts, Now } from "./step.ts";

export type Booting =
  | { readonly kind: "up" }
  | { readonly kind: "wait"; readonly for: string }
  | { readonly kind: "wrong"; readonly reason: string; readonly evidence?: Evidence };

/** News may be this late before a deadline counts. */
export const lateMs = 60_000;
/** Launches are rate-limited, so that a large formation has more time to come up. */
const perInstanceMs = 1_000;
/** From the boot timeout to the news of it. */
const bootSlackMs = 5_000;
/** One crash may be bad luck; a place that crashes twice will not get better. */
const crashesMax = 2;

/** `places` are the names of those that have to be up. */
export function toBooting(rollout: Rollout, places: readonly string[], facts: Facts, now: Now): Booting {
  const { app, target } = rollout;
  const { bootTimeoutMs } = facts.release.limits;
  const limitMs = bootTimeoutMs + lateMs + places.length * perInstanceMs;
  const mine = instancesOf(facts, rollout.app, target);
  for (const one of mine.filter((one) => places.includes(one.name))) {
    const wrong = describeFailure(one, now.elapsedMs, bootTimeoutMs);
    if (wrong === undefined) continue;
    const evidence: Evidence = { kind: "instance", app, name: one.name };
    return { kind: "wrong", reason: `${one.name} ${wrong}`, evidence };
  }
  const up = new Set(mine.filter((one) => one.state === "up").map((one) => one.name));
  const missing = places.filter((place) => !up.has(place));
  const [first = ""] = missing;
  if (now.elapsedMs >= limitMs && (missing.length > 0 || facts.instances === "unknown")) {
    const seconds = Math.round(limitMs / 1_000);
    if (facts.instances === "unknown") {
      return { kind: "wrong", reason: `no news of its instances for ${seconds} s` };
    }
    const state = mine.find((one) => one.name === first)?.state ?? "not started";
    const reason = `${first} was ${state}, not up, after ${seconds} s`;
    return { kind: "wrong", reason, evidence: { kind: "instance", app, name: first } };
  }
  if (facts.instances === "unknown") return { kind: "wait", for: "news of the instances" };
  if (missing.length > 0) return { kind: "wait", for: missing.slice(0, 5).join(", ") };
  return { kind: "up" };
}

/** None while nothing is known. */
export function instancesOf(facts: Facts, app: string, of: Current | undefined): readonly Instance[] {
  if (facts.instances === "unknown" || of === undefined) return [];
  return facts.instances.filter(
    (one) => one.app === app && one.release === of.release && one.generation === of.generation,
  );
}

/** How often the place has crashed. A crash is answered with a new attempt at once. */
export function toCrashes(one: Instance): number {
  return one.attempts - (one.state === "crashed" ? 0 : 1);
}

/** Why a place of the target will not come up; undefined while it still may. */
function describeFailure(one: Instance, elapsedMs: number, bootTimeoutMs: number): string | undefined {
  if (one.state === "up") return undefined;
  const why = one.reason === "" ? "" : `: ${one.reason}`;
  if (/\bR10\b/.test(one.reason)) return `did not boot${why}`;
  const crashes = toCrashes(one);
  if (crashes >= crashesMax) return `crashed ${crashes} times${why}`;
  if (crashes > 0 && elapsedMs >= bootTimeoutMs + bootSlackMs) {
    return `crashed, and was ${one.state} after ${Math.round(bootTimeoutMs / 1_000)} s${why}`;
  }
  return undefined;
}
