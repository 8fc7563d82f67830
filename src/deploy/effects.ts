/** What goes with a move of a rollout, as writes; pure. */
import { paths, type Release, type Rollout } from "../wire/records.ts";
import type { Effect } from "./step.ts";
import { setSeen, type View, type Write } from "./view.ts";

export function toWrites(view: View, rollout: Rollout, release: Release, effect: Effect): readonly Write[] {
  const { app } = rollout;
  switch (effect.kind) {
    case "start_job":
      return [{ kind: "set", path: paths.job(effect.job.id), value: effect.job, ifRevision: 0 }];
    case "forget_job":
      return [{ kind: "remove", path: paths.job(effect.id) }];
    case "settle":
      return [{ kind: "set", path: paths.outcome(app, effect.outcome.release), value: effect.outcome }];
    case "switch": {
      const had = JSON.stringify(view.get(paths.routing(app))?.value ?? {});
      const routing = release.routing ?? {};
      return [
        setSeen(view, paths.current(app), rollout.target),
        ...(had === JSON.stringify(routing) ? [] : [setSeen(view, paths.routing(app), routing)]),
      ];
    }
  }
}
