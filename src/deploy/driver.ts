/**
 * The leader's loop: takes every rollout that is under way one step further, whenever something may have
 * changed and every 250 ms. Nothing but what was written is remembered: whoever leads next goes on from there,
 * and a write that another one was faster with (compare and set, fencing token) just does not happen.
 */
import type { Clock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { parseRollout, paths, type Release, type Rollout } from "../wire/records.ts";
import { toWrites } from "./effects.ts";
import { type FactPorts, toFacts } from "./facts.ts";
import { describePlace, toHistoryWrite } from "./history.ts";
import { toPrunings } from "./prune.ts";
import { advance } from "./rollout.ts";
import { type Effect, type Evidence, isOver, type Move } from "./step.ts";
import { setSeen, type Write } from "./view.ts";

export interface DriverPorts extends FactPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** All or nothing, by the leader's fencing token; resolves to the revision. Throws `conflict` or `unavailable`. */
  transact(writes: readonly Write[]): Promise<number>;
  /** Last lines of what failed, oldest first; bounded. */
  lastLines(evidence: Evidence, since: string): Promise<readonly string[]>;
  /** For people: the app's log and the bus. Never throws. */
  say(app: string, text: string): void;
}

export interface Driver extends AsyncDisposable {
  /** The registry has changed at these paths. */
  changed(paths: readonly string[]): void;
  /** There is news from the bus. Costs nothing while no rollout is under way. */
  wake(): void;
  /** What each rollout under way waits for, by app. */
  waits(): ReadonlyMap<string, string>;
}

export const tickMs = 250;
/** After a write that failed, so that a database that is away is not asked all the time. */
const retryMs = 500;
/** A conflict is normal; so many in a row are worth a line. */
const conflictsToldEach = 10;
const reasonLinesMax = 20;
const reasonLineChars = 500;

/** Drives until it is disposed. */
export function startDriver(ports: DriverPorts): Driver {
  const { clock } = ports;
  /** When this leader first saw the present state of each rollout: deadlines count from there. */
  const watched = new Map<
    string,
    { readonly key: string; readonly since: number; readonly notBefore: number }
  >();
  const waiting = new Map<string, string>();
  const writing = new Map<string, Promise<void>>();
  const conflicts = new Map<string, number>();
  /** Revision of the last step: until the view has it, it still shows the step before. */
  const written = new Map<string, number>();
  /** Apps whose rollout may be under way. */
  const active = new Set<string>(ports.view.list("/apps/").flatMap((entry) => toRolloutApp(entry.path)));
  let stopped = false;
  let timer: Disposable | undefined;

  const tick = () => {
    timer?.[Symbol.dispose]();
    if (stopped) return;
    for (const app of active) if (!writing.has(app)) stepOne(app);
    if (active.size > 0) timer = clock.after(tickMs, tick);
  };

  const stepOne = (app: string) => {
    const now = clock.now();
    if (now < (watched.get(app)?.notBefore ?? 0)) return;
    try {
      const entry = ports.view.get(paths.rollout(app));
      if (entry === undefined || isOver((entry.value as Rollout).state)) {
        for (const forget of [active, watched, waiting, written, conflicts]) forget.delete(app);
        return;
      }
      if (entry.revision < (written.get(app) ?? 0)) return;
      const rollout = parseRollout(entry.value);
      const key = `${rollout.id} ${rollout.state} ${rollout.staging?.stage ?? ""}`;
      const seen = watched.get(app);
      const watch = seen?.key === key ? seen : { key, since: now, notBefore: 0 };
      watched.set(app, watch);
      const facts = toFacts(ports, rollout, entry.revision);
      const step = advance(rollout, facts, {
        elapsedMs: now - watch.since,
        at: clock.wall().toISOString(),
      });
      if (step.kind === "hold") {
        waiting.set(app, step.waitingFor);
        return;
      }
      waiting.delete(app);
      const writes = write(ports, rollout, facts.release, step)
        .then((revision) => {
          conflicts.delete(app);
          written.set(app, revision);
        })
        .catch((error: unknown) => report(app, error))
        .finally(() => {
          writing.delete(app);
          if (!stopped) queueMicrotask(tick);
        });
      writing.set(app, writes);
    } catch (error) {
      report(app, error);
    }
  };

  const report = (app: string, thrown: unknown) => {
    const error = toError(thrown);
    waiting.set(app, error.message);
    const watch = watched.get(app) ?? { key: "", since: clock.now() };
    watched.set(app, { ...watch, notBefore: clock.now() + retryMs });
    // Somebody else was faster, or this replica is behind: the next look will know more.
    if (error instanceof NinesError && error.code === "conflict") {
      const count = (conflicts.get(app) ?? 0) + 1;
      conflicts.set(app, count);
      if (count % conflictsToldEach !== 0) return;
    }
    ports.log.warn("rollout_held", { app, reason: error.message });
  };

  tick();
  return {
    changed: (changed) => {
      for (const path of changed) for (const app of toRolloutApp(path)) active.add(app);
      if (active.size > 0) tick();
    },
    wake: () => {
      if (active.size > 0) tick();
    },
    waits: () => waiting,
    async [Symbol.asyncDispose]() {
      stopped = true;
      timer?.[Symbol.dispose]();
      await Promise.allSettled(writing.values());
    },
  };
}

/** The app whose rollout lies at the path; none for other paths. */
function toRolloutApp(path: string): readonly string[] {
  const app = /^\/apps\/([^/]+)\/rollout$/.exec(path)?.[1];
  return app === undefined ? [] : [app];
}

async function write(ports: DriverPorts, rollout: Rollout, release: Release, step: Move): Promise<number> {
  const { app } = rollout;
  const next = await withEvidence(ports, rollout, step);
  const settled: readonly Effect[] = step.effects.map((effect) =>
    effect.kind === "settle" && next.reason !== undefined
      ? { kind: "settle", outcome: { ...effect.outcome, reason: next.reason } }
      : effect,
  );
  const revision = await ports.transact([
    setSeen(ports.view, paths.rollout(app), next),
    toHistoryWrite(ports.view, rollout, next, step.because, "nines"),
    ...settled.flatMap((effect) => toWrites(ports.view, next, release, effect)),
    ...(next.state === "done" ? toPrunings(ports.view, app) : []),
  ]);
  const said = describe(next, step.because.why);
  const [from, to] = [describePlace(rollout), describePlace(next)];
  ports.log.info("rollout_moved", { app, rollout: next.id, from, to, why: step.because.why });
  if (said !== "") ports.say(app, said);
  return revision;
}

async function withEvidence(ports: DriverPorts, before: Rollout, step: Move): Promise<Rollout> {
  if (step.evidence === undefined) return step.rollout;
  let lines: readonly string[] = [];
  try {
    lines = await ports.lastLines(step.evidence, before.changedAt);
  } catch (error) {
    ports.log.warn("no_evidence", { app: before.app, reason: toError(error).message });
  }
  const shown = lines.slice(-reasonLinesMax).map((line) => line.slice(0, reasonLineChars));
  return { ...step.rollout, reason: [step.rollout.reason ?? "", ...shown].join("\n") };
}

function describe(rollout: Rollout, because: string): string {
  const version = `v${rollout.target.release}`;
  const [why = ""] = (rollout.reason ?? "").split("\n");
  switch (rollout.state) {
    case "releasing":
      return `Release ${version}: running the release command`;
    case "staging":
    case "baking":
    case "returning":
    case "paused":
      return `Release ${version}: ${describePlace(rollout)}: ${because}`;
    case "starting":
      return `Release ${version}: starting`;
    case "switching":
      return rollout.kind === "restart" ? `Release ${version} restarted` : `Release ${version} created`;
    case "failed":
      return `Release ${version} failed: ${why}`;
    default:
      return "";
  }
}
