/** Which instances may get requests, and what to expect when none may; pure. */
import type { Instance } from "../wire/messages.ts";
import type { Current } from "../wire/records.ts";

interface Placed {
  readonly instance: Instance;
}

/** True for instances that serve HTTP at all. */
export function isWeb(instance: Instance): boolean {
  return instance.type === "web" && instance.port > 0;
}

/**
 * The current release's instances that are up. When there are none, those of the newest older one: a router
 * that missed something had rather serve what was right a moment ago than fail. Never a newer one, which
 * nothing has switched to yet.
 */
export function toRoutable<T extends Placed>(
  places: Iterable<T>,
  current: Current | undefined,
): readonly T[] {
  if (current === undefined) return [];
  let best: Current | undefined;
  let routable: T[] = [];
  for (const place of places) {
    const { instance } = place;
    if (instance.state !== "up" || !isWeb(instance) || compare(instance, current) > 0) continue;
    const order = best === undefined ? 1 : compare(instance, best);
    if (order > 0) {
      best = instance;
      routable = [];
    }
    if (order >= 0) routable.push(place);
  }
  return routable;
}

/** The instances of exactly this release that are up. */
export function toTargets<T extends Placed>(places: Iterable<T>, target: Current): readonly T[] {
  return [...places].filter(
    ({ instance }) => instance.state === "up" && isWeb(instance) && compare(instance, target) === 0,
  );
}

/** Whether a request that finds nobody should wait. */
export type Outlook = "wait" | "crashed";

/** `crashed` when every place has crashed and none will be tried again before `soonAt` (wall time, ms). */
export function toOutlook(places: Iterable<Placed>, current: Current | undefined, soonAt: number): Outlook {
  let crashed = 0;
  for (const { instance } of places) {
    if (instance.type !== "web" || current === undefined || compare(instance, current) < 0) continue;
    if (instance.state === "crashed" && instance.nextTryAt > soonAt) crashed++;
    else if (instance.state !== "down") return "wait";
  }
  return crashed > 0 ? "crashed" : "wait";
}

function compare(one: Current, other: Current): number {
  return one.release - other.release || one.generation - other.generation;
}
