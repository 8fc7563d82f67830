import { expect, test } from "bun:test";
import {
  advance,
  type Breaker,
  type BreakerEvent,
  closed,
  failuresMax,
  probing,
  toProbeMs,
} from "./breaker.ts";

const ok: BreakerEvent = { kind: "succeeded" };
const bad: BreakerEvent = { kind: "failed", reason: "answered 503" };
const run = (events: readonly BreakerEvent[], stepMs = 1, from: Breaker = closed(0)) =>
  events.reduce((breaker, event, at) => advance(breaker, event, (at + 1) * stepMs, 0), from);
const mixed = (good: number, failed: number, pattern: (at: number) => boolean) =>
  Array.from({ length: good + failed }, (_, at) => (pattern(at) ? ok : bad));

const table: readonly (readonly [string, readonly BreakerEvent[], number, Breaker["kind"]])[] = [
  ["nothing happened", [], 1, "closed"],
  ["one failure less than too many in a row", Array(failuresMax - 1).fill(bad), 1, "closed"],
  ["too many in a row", Array(failuresMax).fill(bad), 1, "open"],
  ["a success between starts the row anew", [bad, bad, bad, bad, ok, bad, bad, bad, bad], 1, "closed"],
  ["half of fewer than 20", mixed(9, 9, (at) => at % 2 === 0), 1, "closed"],
  ["half of 20", mixed(10, 10, (at) => at % 2 === 0), 1, "open"],
  ["a third of 30", mixed(20, 10, (at) => at % 3 !== 0), 1, "closed"],
  ["half of 20, spread over more than the window", mixed(10, 10, (at) => at % 2 === 0), 1_000, "closed"],
  ["the target asks for patience", [{ ...bad, retryAfterMs: 2_000 }], 1, "open"],
];
for (const [name, events, stepMs, kind] of table) {
  test(`breaker, ${name}: ${kind}`, () => expect(run(events, stepMs).kind).toBe(kind));
}

test("probes come after 0.5 s, doubling to 15 s, never later and at most a quarter earlier", () => {
  const full = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000];
  expect(full.map((_, probes) => toProbeMs(probes, 0))).toEqual(full);
  expect(toProbeMs(5, 0.999)).toBeGreaterThan(15_000 * 0.75);
});

test("a probe that fails opens it again for longer; one that succeeds closes it", () => {
  const open = run(Array(failuresMax).fill(bad)) as Extract<Breaker, { probes: number }>;
  expect(open.probeAt).toBe(failuresMax + 500);
  const half = probing(open, 9_999);
  expect(half).toMatchObject({ kind: "half_open", probes: 1, probeAt: 9_999 });
  expect(advance(half, bad, 1_000, 0)).toMatchObject({ kind: "open", probes: 1, probeAt: 2_000 });
  expect(advance(half, ok, 1_000, 0)).toEqual(closed(1_000));
});

test("Retry-After moves the next probe, and never brings it nearer", () => {
  const open = advance(closed(0), { ...bad, retryAfterMs: 60_000 }, 0, 0);
  expect(open).toMatchObject({ probeAt: 60_000 });
  expect(advance(open, { ...bad, retryAfterMs: 1_000 }, 0, 0)).toBe(open);
  expect(advance(open, { ...bad, retryAfterMs: 90_000 }, 0, 0)).toMatchObject({ probeAt: 90_000 });
  expect(advance(open, bad, 10, 0)).toBe(open);
});
