/**
 * The leader's loop over flags that grow by themselves: each second every claim of the present step is judged, and
 * what the policy decides is written by compare and set, with the lease's token. Nothing but that is remembered.
 */
import { advanceGated, type FlagPlan, type Judged, type KnownFlag, planGatedMove } from "../flags/flags.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { AssertGates } from "./assert-gates.ts";
import type { FlagView } from "./flag-view.ts";

export interface FlagGrowingPorts {
  readonly view: FlagView;
  readonly gates: Pick<AssertGates, "judge">;
  readonly clock: Clock;
  readonly log: Log;
  readonly leads: () => boolean;
  /** How often a flag was what it grows to, so far, as the database knows. */
  readonly grown: (key: string) => Promise<number>;
  readonly transact: (writes: FlagPlan["writes"]) => Promise<number>;
}

const lookMs = 1_000;

interface Watched {
  readonly revision: number;
  readonly since: number;
  readonly violated: ReadonlySet<string>;
  /** How often it was what it grows to when the step began; undefined when nobody wants to know. */
  readonly grownBefore: number | undefined;
}

export function startFlagGrowing({
  view,
  gates,
  clock,
  log,
  leads,
  grown,
  transact,
}: FlagGrowingPorts): Disposable {
  let watched = new Map<string, Watched>();
  let stopped = false;

  const look = async (flag: KnownFlag): Promise<void> => {
    const { key, gated, revision } = flag;
    if (gated === undefined) return;
    const now = clock.now();
    const known = watched.get(key);
    const counts = (gated.steps[gated.at]?.requestsMin ?? 0) > 0 ? await grown(key) : undefined;
    const before =
      known?.revision === revision
        ? known
        : { revision, since: now, violated: new Set<string>(), grownBefore: counts };
    const requests = counts === undefined ? undefined : counts - (before.grownBefore ?? counts);
    const claims = gated.steps[gated.at]?.asserts ?? [];
    const judged = claims.map((claim): Judged => ({ claim, verdict: gates.judge(claim) }));
    const violated = new Set(
      judged.filter(({ verdict }) => verdict.state === "violated").map(({ claim }) => claim),
    );
    watched.set(key, { ...before, violated });
    const move = advanceGated(gated, judged, before.violated, now - before.since, requests);
    if (move.kind === "hold") return;
    const signature = { by: "nines", at: clock.wall().toISOString() };
    const { writes } = planGatedMove(view.set, signature, flag, move, view.betaPercent);
    await transact(writes);
    log.info("flag_moved", { flag: key, move: move.kind, why: move.why });
  };

  const turn = async () => {
    const growing = leads()
      ? [...view.set.flags.values()].filter(({ gated }) => gated?.state === "baking")
      : [];
    watched = new Map([...watched].filter(([key]) => growing.some((flag) => flag.key === key)));
    for (const flag of growing) {
      // A conflict is normal: somebody has changed the flag, and it grows by itself no more.
      await look(flag).catch((error) =>
        log.warn("flag_held", { flag: flag.key, reason: toError(error).message }),
      );
    }
    if (!stopped) clock.after(lookMs, () => void turn());
  };
  clock.after(lookMs, () => void turn());
  return {
    [Symbol.dispose]() {
      stopped = true;
    },
  };
}
