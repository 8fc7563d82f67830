import { expect, test } from "bun:test";
import { judge } from "./blame.ts";
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
