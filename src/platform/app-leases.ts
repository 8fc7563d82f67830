/** Leases of apps: the platform's own kind, under names of their own. */
import type { AppControl } from "../api/api.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";

/** Names that one app's leases have had; a name is kept, as its token must go on growing. */
const namesMax = 1_000;

/** The platform's name of an app's lease. */
export function toLeaseName(app: string, lease: string): string {
  return `app/${app}/${lease}`;
}

export function createAppLeases({ leases }: Store): Pick<AppControl, "acquire" | "renew" | "release"> {
  return {
    async acquire(app, lease, holder, ttlMs) {
      const name = toLeaseName(app, lease);
      if (!(await leases.hasRoom(toLeaseName(app, ""), name, namesMax))) {
        throw new NinesError("too_large", `${app} has ${namesMax} names of leases already`, {
          hint: "use few names, again and again",
        });
      }
      const stand = await leases.acquire(name, holder, ttlMs);
      if (stand.kind === "held") return { held: true, token: stand.token };
      return { held: false, holder: stand.holder, leftMs: Math.round(stand.leftMs) };
    },
    renew: (app, lease, holder, token, ttlMs) => leases.renew(toLeaseName(app, lease), holder, token, ttlMs),
    release: (app, lease, holder, token) => leases.release(toLeaseName(app, lease), holder, token),
  };
}
