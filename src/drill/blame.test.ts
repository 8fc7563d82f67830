import { expect, test } from "bun:test";
import { excuse, judge } from "./blame.ts";
import type { Deed } from "./deed.ts";
import type { Failure } from "./load/load.ts";

const killedAt = 1_000;
const failure = (changes: Partial<Failure>): Failure => ({
  kind: "get_kept",
  id: "a",
  startedAt: 990,
  endedAt: 1_002,
  reason: "reset",
  status: 0,
  code: "",
  reused: true,
  bytes: 0,
  port: 40_000,
  openedAt: 500,
  ...changes,
});
const excused = (costs: Parameters<typeof judge>[1], changes: Partial<Failure>) =>
  judge([failure(changes)], costs, killedAt).excused.length === 1;

test("a kill that may cost nothing excuses nothing", () => {
  expect(excused("nothing", {})).toBe(false);
});

test("a router excuses what was in flight in it, of any kind", () => {
  expect(excused("inflight", {})).toBe(true);
  expect(excused("inflight", { kind: "post_new" })).toBe(true);
});

test("an instance excuses the POSTs that it held, and no GET", () => {
  expect(excused("posts", { kind: "post_kept" })).toBe(true);
  expect(excused("posts", {})).toBe(false);
});

test("what ended before the kill, or started after it, has no excuse", () => {
  expect(excused("inflight", { startedAt: 900, endedAt: 950 })).toBe(false);
  expect(excused("inflight", { startedAt: 1_400, endedAt: 1_500 })).toBe(false);
});

test("an answer that belongs to another request has no excuse", () => {
  expect(excused("inflight", { reason: "wrong" })).toBe(false);
});

const deed: Deed = {
  ...{ index: 0, kind: "kill-router", costs: "inflight", targets: ["router.1"], restarted: [] },
  ...{ startedAt: killedAt, goneAt: 1_010, endedAt: 2_000, lookedAt: 700, ports: [40_000] },
};
const table: readonly (readonly [string, boolean, Partial<Failure>])[] = [
  ["its connection", true, {}],
  ["another's connection", false, { port: 40_001 }],
  [
    "one opened between the look and the kill",
    true,
    { port: 40_001, reused: false, openedAt: 800, startedAt: 800 },
  ],
  ["one opened then, and used again", true, { port: 40_001, openedAt: 800, startedAt: 990 }],
  ["one opened well before the look", false, { port: 40_001, reused: false, openedAt: 590, startedAt: 590 }],
  ["one opened when it was gone", false, { port: 40_001, openedAt: 1_200, startedAt: 1_300, endedAt: 1_400 }],
  ["its connection, used again when it was gone", true, { startedAt: 2_900, endedAt: 2_901 }],
  ["its connection, used again long after", false, { startedAt: 3_100, endedAt: 3_101 }],
  ["an answer that came before the kill", false, { endedAt: 999 }],
];
for (const [what, isExcused, changes] of table) {
  test(`a killed router ${isExcused ? "excuses" : "does not excuse"} ${what}`, () => {
    expect(excuse(failure(changes), [deed]) === deed).toBe(isExcused);
  });
}
