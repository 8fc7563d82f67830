/**
 * Which instance gets a request; pure. The less busy of two random ones: it needs no shared knowledge between
 * routers, and never sends everybody to the one that just looks idle. Streams and tunnels decide only between those
 * that are as busy otherwise: they may be idle for hours, and would send everything to the instance that came last.
 */
export interface Choice {
  /** Requests of this router that wait for its answer. */
  readonly waiting: number;
  /** These, and those whose answers or tunnels are under way. */
  readonly inflight: number;
  /** Until when this router avoids it. */
  readonly quarantinedUntil: number;
}

/** One that is neither quarantined nor in `tried`; undefined when there is none. */
export function choose<T extends Choice>(
  targets: readonly T[],
  random: () => number,
  now: number,
  tried: readonly T[] | null,
): T | undefined {
  const count = targets.length;
  if (count === 0) return undefined;
  const first = targets[count === 1 ? 0 : Math.floor(random() * count)]!;
  let second = first;
  if (count > 1) {
    const index = Math.floor(random() * (count - 1));
    second = targets[index]!;
    if (second === first) second = targets[count - 1]!;
  }
  if (isUsable(first, now, tried) && isUsable(second, now, tried)) {
    const more = second.waiting - first.waiting || second.inflight - first.inflight;
    return more < 0 ? second : first;
  }
  const usable = targets.filter((target) => isUsable(target, now, tried));
  return usable.length === 0 ? undefined : choose(usable, random, now, null);
}

/** When every one is quarantined: the one whose quarantine ends first. */
export function chooseLeastBad<T extends Choice>(targets: readonly T[]): T | undefined {
  return targets.reduce<T | undefined>(
    (best, target) => (best === undefined || target.quarantinedUntil < best.quarantinedUntil ? target : best),
    undefined,
  );
}

function isUsable<T extends Choice>(target: T, now: number, tried: readonly T[] | null): boolean {
  return target.quarantinedUntil <= now && (tried === null || !tried.includes(target));
}
