/**
 * How a rollout gets on, for whoever waits for it. All of it is read from what any controller can see: the
 * registry, the output files of the jobs, the reports of the instances. So a cursor is enough for another
 * controller to go on where this one was killed.
 */
import type { View } from "../deploy/deploy.ts";
import {
  type FactPorts,
  isOver,
  readOutcomes,
  readRollout,
  toFacts,
  toJobId,
  toProgress,
} from "../deploy/deploy.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { RolloutEvent, RolloutProgress } from "../wire/api.ts";
import type { Instance } from "../wire/messages.ts";
import type { Rollout } from "../wire/records.ts";
import { readOutput } from "./job-output.ts";

export interface FollowPorts extends FactPorts {
  readonly clock: Clock;
  /** Where a job's output is. */
  readonly jobLog: (id: string) => string;
}

const lookMs = 50;
const beatMs = 1_000;
/** How long the replica may take to hear of a rollout that another controller has just begun. */
const hearMs = 2_000;

/** Where a follower is: the state it was told of, and how far it has read each output. */
interface Place {
  state: string;
  build: number;
  release: number;
}

/** Ends after the event that says done or failed; throws `not_found` when nothing is known of the rollout. */
export async function* followRollout(
  ports: FollowPorts,
  app: string,
  asked: { readonly rollout: string | undefined; readonly cursor: string | undefined },
  signal: AbortSignal,
): AsyncIterable<RolloutEvent> {
  const { clock } = ports;
  const first = await findRollout(ports, app, asked.rollout);
  const place = parseCursor(asked.cursor);
  let spokeAt = Number.NEGATIVE_INFINITY;
  let measuredAt = Number.NEGATIVE_INFINITY;
  const shown = new Map<string, string>();
  const cursor = () => `${place.state}.${place.build}.${place.release}`;

  while (!signal.aborted) {
    const rollout = findNow(ports.view, app, first);
    const over = isOver(rollout.state);
    const events: RolloutEvent[] = [];
    const tellState = () => {
      const state = `${rollout.state}${rollout.staging?.stage ?? ""}`;
      if (place.state === state) return;
      place.state = state;
      events.push({ kind: "state", cursor: cursor(), rollout });
    };
    /** True when there is more of it. */
    const tellOutput = (phase: "build" | "release", ended: boolean): boolean => {
      const output = readOutput(ports.jobLog(toJobId(first.id, phase)), place[phase], ended);
      for (const line of output.lines) {
        place[phase] = line.end;
        events.push({ kind: "output", cursor: cursor(), phase, line: line.text });
      }
      return output.more;
    };

    // In the order in which it happened: what a job wrote comes before the news that it is over.
    if (place.state === "" && !over) tellState();
    let more = tellOutput("build", rollout.state !== "building");
    if (!more && !over) tellState();
    more ||= tellOutput("release", rollout.state !== "building" && rollout.state !== "releasing");
    for (const instance of ports.sightings.instances.filter((one) => isOf(one, rollout))) {
      const text = `${instance.state} ${instance.attempts}`;
      if (shown.get(instance.id) === text) continue;
      shown.set(instance.id, text);
      events.push({ kind: "instance", cursor: cursor(), instance });
    }
    if (clock.now() - measuredAt >= beatMs) {
      measuredAt = clock.now();
      const progress = describeProgress(ports, rollout);
      if (progress !== undefined) events.push({ kind: "progress", cursor: cursor(), ...progress });
    }
    if (over && !more) {
      // Told anew to who comes back with a cursor of it: this is what everybody waits for.
      place.state = "";
      tellState();
    }
    // The first one at once: the head of the reply goes with its first bytes.
    if (events.length === 0 && clock.now() - spokeAt >= beatMs) {
      events.push({ kind: "beat", cursor: cursor() });
    }
    if (events.length > 0) spokeAt = clock.now();
    yield* events;
    if (over && !more) return;
    if (!more) await clock.sleep(lookMs, signal).catch(() => {});
  }
}

/** Undefined when there is nothing to tell, also because a record is missing here yet. */
function describeProgress(ports: FollowPorts, rollout: Rollout): RolloutProgress | undefined {
  if (rollout.staging === undefined || isOver(rollout.state)) return undefined;
  try {
    return toProgress(rollout, toFacts(ports, rollout, 0), ports.clock.wall());
  } catch {
    return undefined;
  }
}

async function findRollout(ports: FollowPorts, app: string, id: string | undefined): Promise<Rollout> {
  const until = ports.clock.now() + hearMs;
  for (;;) {
    const rollout = readRollout(ports.view, app);
    if (rollout !== undefined && (id === undefined || rollout.id === id)) return rollout;
    const over = id === undefined ? undefined : fromOutcome(ports.view, app, id);
    if (over !== undefined) return over;
    if (ports.clock.now() >= until) {
      const which = id === undefined ? "no rollout" : `no rollout ${id}`;
      throw new NinesError("not_found", `${app} has ${which}`, {
        hint: `nines releases -a ${app} says how each release ended`,
      });
    }
    await ports.clock.sleep(lookMs);
  }
}

/** The rollout as it is now; when another has taken its place, as it ended. */
function findNow(view: View, app: string, first: Rollout): Rollout {
  const now = readRollout(view, app);
  if (now?.id === first.id) return now;
  const over = fromOutcome(view, app, first.id);
  if (over !== undefined) return { ...first, state: over.state, ...toReason(over.reason) };
  if (now === undefined) return { ...first, state: "failed", reason: "the app was destroyed" };
  // A later one may begin only when this one is over, and one that failed leaves an outcome.
  return { ...first, state: "done" };
}

function fromOutcome(view: View, app: string, id: string): Rollout | undefined {
  const outcome = [...readOutcomes(view, app).values()].find((one) => one.rollout === id);
  if (outcome === undefined) return undefined;
  return {
    id,
    app,
    kind: "deploy",
    state: outcome.state,
    target: { release: outcome.release, generation: 0 },
    startedAt: outcome.at,
    changedAt: outcome.at,
    ...toReason(outcome.reason),
    by: "",
  };
}

function toReason(reason: string | undefined): { readonly reason?: string } {
  return reason === undefined ? {} : { reason };
}

function isOf(instance: Instance, rollout: Rollout): boolean {
  const { app, target } = rollout;
  const started = rollout.state !== "building" && rollout.state !== "releasing";
  return (
    started &&
    instance.app === app &&
    instance.release === target.release &&
    instance.generation === target.generation
  );
}

function parseCursor(text: string | undefined): Place {
  const [, state, build, release] = /^([a-z]*\d{0,2})\.(\d{1,15})\.(\d{1,15})$/.exec(text ?? "") ?? [];
  if (text !== undefined && text !== "" && state === undefined) {
    throw new NinesError("invalid", `from: "${text.slice(0, 60)}" is not a cursor`);
  }
  return { state: state ?? "", build: Number(build ?? 0), release: Number(release ?? 0) };
}
