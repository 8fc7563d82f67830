/**
 * Asserts and alerts of one controller. Every controller evaluates each second and watches what becomes of it;
 * the one that leads stores it and has people told. With the database away nobody leads: what is outside and
 * misses the heartbeat raises the alarm then.
 */

import type { View } from "../deploy/deploy.ts";
import { type Source, Watch } from "../metrics/asserts.ts";
import type { MetricsView } from "../metrics/metrics.ts";
import type { Room } from "../os/disk.ts";
import { toError } from "../std/errors.ts";
import type { Instance } from "../wire/messages.ts";
import { Desk, type DeskPorts } from "./alert-desk.ts";
import { type AlertView, readAlerts, readReceivers } from "./alert-records.ts";
import { Catalog } from "./assert-catalog.ts";
import { type Changes, crashLoop, readChanges, toConditions } from "./conditions.ts";
import { Heartbeats } from "./heartbeats.ts";
import { type Hearing, Judgements } from "./judgements.ts";

export interface AssertsPorts extends Omit<DeskPorts, "view"> {
  readonly id: string;
  readonly view: AlertView & View;
  /** False before there is a copy of the registry. */
  readonly isReady: () => boolean;
  readonly leads: () => boolean;
  readonly metrics: MetricsView;
  /** How many reports were heard so far, of all processes. */
  readonly heard: () => number;
  readonly instances: () => readonly Instance[] | "unknown";
  /** Of the disk that the home is on; unknown where it cannot be asked. */
  readonly room: () => Room | undefined;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Counts an evaluation, and how long it took. */
  readonly evaluated: (tookMs: number, firing: number) => void;
}

export interface Asserts extends AsyncDisposable {
  readonly catalog: Catalog;
  readonly judgements: Judgements;
  readonly watch: Watch;
  readonly heartbeats: Heartbeats;
  /** The metrics, with how much of the past they cover. */
  readonly source: Source;
  hearing(): Hearing;
  /** Monotonic time of the last evaluation. */
  readonly evaluatedAt: number | undefined;
}

/** Reports come each second; looked at twice as often, they wait for half of one. */
const evaluateEveryMs = 500;
/** What was found is acted upon, and what was written is gone on with, without waiting for the next second. */
const actEveryMs = 200;

export function startAsserts(ports: AssertsPorts): Asserts {
  const { clock, view, metrics, log } = ports;
  const catalog = new Catalog(view);
  const judgements = new Judgements();
  const watch = new Watch();
  const desk = new Desk(ports);
  const heartbeats = new Heartbeats(ports);
  const stopping = new AbortController();
  const startedAt = clock.now();
  let heard = ports.heard();
  let heardAt = startedAt;
  let evaluatedAt: number | undefined;
  let revision = -1;
  let changes: Changes = { rollouts: [], flags: [] };
  let dueAt = startedAt;

  const hearing = (): Hearing => {
    const now = clock.now();
    const count = ports.heard();
    if (count !== heard) heardAt = now;
    heard = count;
    return { sinceMs: now - startedAt, silentMs: now - heardAt };
  };
  const source: Source = {
    get coveredMs() {
      return clock.now() - startedAt;
    },
    select: (metric, matchers, windowMs, at) => metrics.select(metric, matchers, windowMs, at),
  };

  const evaluate = async () => {
    const moment = { now: clock.now(), wall: clock.wall().getTime() };
    const stored = readAlerts(view);
    if (desk.isCurrent) {
      watch.adopt(stored, moment);
      for (const { fingerprint } of watch.all) {
        if (stored.get(fingerprint)?.state !== "firing") watch.forget(fingerprint);
      }
    }
    await judgements.step(catalog.list(), source, moment, hearing(), clock);
    const instances = ports.instances();
    if (view.revision !== revision) changes = readChanges(view);
    revision = view.revision;
    const signals = [...judgements.signals(), ...toConditions(changes, instances, moment.wall, ports.room())];
    const unread = new Set(catalog.list().flatMap((one) => (one.assert === undefined ? [one.name] : [])));
    const held = (name: string) => unread.has(name) || (instances === "unknown" && name === crashLoop);
    watch.step(signals, moment, held);
    evaluatedAt = clock.now();
    const firing = watch.all.filter((one) => one.alert.kind === "firing").length;
    ports.evaluated(evaluatedAt - moment.now, firing);
    return firing;
  };

  const turn = async () => {
    if (!ports.isReady()) return;
    const now = clock.now();
    if (now >= dueAt || now >= watch.nextAt) {
      // What was missed while the process stood still is not made up for.
      if (now >= dueAt) dueAt = Math.max(dueAt + evaluateEveryMs, now);
      const firing = await evaluate();
      const said = { status: "alive", controller: ports.id, at: clock.wall().toISOString(), firing };
      if (ports.leads()) heartbeats.step(readReceivers(view), said);
    }
    if (ports.leads()) await desk.act(watch.all, { now: clock.now(), wall: clock.wall().getTime() });
  };

  let trouble = "";
  const loop = async () => {
    while (!stopping.signal.aborted) {
      try {
        await turn();
        trouble = "";
      } catch (error) {
        const { message, stack } = toError(error);
        if (message !== trouble) log.error("asserts_not_evaluated", { message, stack });
        trouble = message;
      }
      const pauseMs = Math.max(1, Math.min(actEveryMs, Math.ceil(watch.nextAt - clock.now())));
      await clock.sleep(pauseMs, stopping.signal).catch(() => {});
    }
  };
  const running = loop();

  return {
    catalog,
    judgements,
    watch,
    heartbeats,
    source,
    hearing,
    get evaluatedAt() {
      return evaluatedAt;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}
