/** What a machine and a platform offer for a drill; what they do not, is left out, and said. */
import { mayMount } from "./disk.ts";
import { mayCut } from "./firewall.ts";
import type { Kind, Need } from "./kinds.ts";
import { mayLimit, mayLimitMemory } from "./scarce.ts";

export interface Offer {
  /** Started by the drill, in a home of its own. */
  readonly isFresh: boolean;
  readonly isGuarded: boolean;
}

const reasons: Readonly<Record<Need, string>> = {
  firewall: "root and nft",
  limits: "prlimit (util-linux)",
  memory: "root and cgroups",
  clocks: "a platform of its own",
  disk: "root, mount, and a platform of its own",
};

/** Kinds that can be done, and for each that cannot, what it needs. */
export function sortKinds(
  kinds: readonly Kind[],
  offer: Offer,
): { readonly possible: readonly Kind[]; readonly leftOut: readonly string[] } {
  const has: Record<Need, boolean> = {
    firewall: kinds.some((kind) => kind.needs === "firewall") && mayCut(),
    limits: mayLimit(),
    memory: kinds.some((kind) => kind.needs === "memory") && mayLimitMemory(),
    clocks: offer.isFresh,
    disk: offer.isFresh && mayMount(),
  };
  const lacking = (kind: Kind) => {
    if (kind.needsGuard && !offer.isGuarded) return "somebody above kernel and heart, such as systemd";
    return kind.needs === undefined || has[kind.needs] ? undefined : reasons[kind.needs];
  };
  return {
    possible: kinds.filter((kind) => lacking(kind) === undefined),
    leftOut: kinds.flatMap((kind) => {
      const need = lacking(kind);
      return need === undefined ? [] : [`${kind.name} (needs ${need})`];
    }),
  };
}
