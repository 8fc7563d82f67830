import { describe, expect, test } from "bun:test";
import type { AlertRecord, Verdict } from "../wire/asserts.ts";
import { type Alert, advance } from "./alert.ts";
import { planAlerts, resolvedKeptMs } from "./alert-plan.ts";
import { toFingerprint } from "./fingerprint.ts";
import { type Signal, Watch } from "./watch.ts";

const run = (verdicts: readonly Verdict[], patience = { forMs: 0, keepFiringForMs: 0 }, stepMs = 1_000) => {
  let alert: Alert = { kind: "inactive" };
  return verdicts.map((verdict, index) => (alert = advance(alert, verdict, index * stepMs, patience)).kind);
};
const v = (text: string): Verdict[] =>
  [...text].map((letter) => (letter === "x" ? "violated" : letter === "." ? "ok" : "unknown"));

describe("states", () => {
  test("without a for it fires at once, and is resolved when it holds again", () => {
    expect(run(v(".x..x"))).toEqual(["inactive", "firing", "resolved", "resolved", "firing"]);
  });
  test("it is pending for its for, and a moment of ok starts that anew", () => {
    expect(run(v("xx.xxx"), { forMs: 2_000, keepFiringForMs: 0 })).toEqual([
      "pending",
      "pending",
      "inactive",
      "pending",
      "pending",
      "firing",
    ]);
  });
  test("time in which nothing is known does not count, and ends nothing", () => {
    expect(run(v("x???x"), { forMs: 3_000, keepFiringForMs: 0 }).at(-1)).toBe("pending");
    expect(run(v("x???"))).toEqual(["firing", "firing", "firing", "firing"]);
  });
  test("it fires on for so long after it holds", () => {
    expect(run(v("x..."), { forMs: 0, keepFiringForMs: 2_000 })).toEqual([
      "firing",
      "firing",
      "resolved",
      "resolved",
    ]);
  });
  test("a process that was stopped for a minute has not watched for a minute", () => {
    expect(run(v("xx"), { forMs: 30_000, keepFiringForMs: 0 }, 60_000)).toEqual(["pending", "pending"]);
  });
});

const signal = (verdict: Verdict, rest: Partial<Signal> = {}): Signal => ({
  labels: { alertname: "slow", app: "shop" },
  annotations: {},
  inhibits: [],
  verdict,
  value: 70,
  threshold: 50,
  forMs: 0,
  keepFiringForMs: 0,
  ...rest,
});
const fingerprint = toFingerprint(signal("ok").labels);
const minute = 60_000;

/** A controller on a registry that is only a map. */
class Seat {
  readonly watch = new Watch();
  readonly #offsetMs: number;
  now = 0;
  constructor(offsetMs = 0) {
    this.#offsetMs = offsetMs;
  }
  step(stored: Map<string, AlertRecord>, leads: boolean, ...signals: readonly Signal[]): void {
    this.now += 1_000;
    const moment = { now: this.now, wall: 1e12 + this.#offsetMs + this.now };
    this.watch.adopt(stored, moment);
    this.watch.step(signals, moment);
    if (!leads) return;
    for (const write of planAlerts(this.watch.all, stored, moment.wall)) {
      if (write.record === undefined) stored.delete(write.fingerprint);
      else stored.set(write.fingerprint, write.record);
    }
  }
}

describe("over the deaths of controllers", () => {
  test("a leader that dies while it fires leaves one alert, which its successor ends", () => {
    const stored = new Map<string, AlertRecord>();
    const first = new Seat();
    first.step(stored, true, signal("violated"));
    const { startsAt } = stored.get(fingerprint)!;
    const second = new Seat();
    second.step(stored, true, signal("unknown"));
    second.step(stored, true, signal("violated"));
    expect(stored.get(fingerprint)).toMatchObject({ state: "firing", startsAt });
    second.step(stored, true, signal("ok"));
    expect(stored.get(fingerprint)).toMatchObject({ state: "resolved", startsAt });
  });
  test("clocks a minute apart: a follower that takes over fires no earlier than its own watching says", () => {
    const stored = new Map<string, AlertRecord>();
    const patient = { forMs: 2 * minute };
    const [first, second] = [new Seat(), new Seat(minute)];
    for (let i = 0; i < 30; i++) {
      first.step(stored, true, signal("violated", patient));
      second.step(stored, false, signal("violated", patient));
    }
    expect(stored.get(fingerprint)?.state).toBe("pending");
    for (let i = 0; i < 89; i++) second.step(stored, true, signal("violated", patient));
    expect(stored.get(fingerprint)?.state).toBe("pending");
    for (let i = 0; i < 5; i++) second.step(stored, true, signal("violated", patient));
    expect(stored.get(fingerprint)?.state).toBe("firing");
  });
  test("all controllers die while it is pending: its time goes on, but for the last seconds", () => {
    for (const offset of [0, minute, -minute]) {
      const stored = new Map<string, AlertRecord>();
      const patient = { forMs: 2 * minute };
      const first = new Seat();
      for (let i = 0; i < 110; i++) first.step(stored, true, signal("violated", patient));
      const next = new Seat(110_000 + offset);
      next.step(stored, true, signal("violated", patient));
      expect(stored.get(fingerprint)?.state).toBe("pending");
      let seconds = 1;
      while (stored.get(fingerprint)?.state === "pending" && seconds < 200) {
        next.step(stored, true, signal("violated", patient));
        seconds++;
      }
      expect(seconds).toBeGreaterThanOrEqual(5);
      expect(seconds).toBeLessThanOrEqual(80);
    }
  });
  test("what is gone is resolved, then forgotten; what may only be unheard of stays", () => {
    const stored = new Map<string, AlertRecord>();
    const seat = new Seat();
    seat.step(stored, true, signal("violated"));
    seat.watch.step([], { now: 5_000, wall: 1e12 + 5_000 }, () => true);
    expect(seat.watch.get(fingerprint)?.alert.kind).toBe("firing");
    seat.step(stored, true);
    expect(stored.get(fingerprint)?.state).toBe("resolved");
    const late = Date.parse(stored.get(fingerprint)!.since) + resolvedKeptMs + 1;
    expect(planAlerts([], stored, late)).toEqual([{ fingerprint, record: undefined }]);
  });
});

test("fingerprints are those of Alertmanager", () => {
  // From its API, for {alertname="slow", app="shop"} and for no labels at all.
  expect(toFingerprint({})).toBe("cbf29ce484222325");
  expect(toFingerprint({ app: "shop", alertname: "slow" })).toBe(
    toFingerprint({ alertname: "slow", app: "shop" }),
  );
});
