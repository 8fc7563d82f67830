import { expect, test } from "bun:test";
import type { Effect, Written } from "../records.ts";
import { checkWrites } from "./writes.ts";

const accepted = (n: number): Written => ({
  key: "key-1",
  n,
  id: `key-1-${n}`,
  at: n,
  tookMs: 1,
  ok: true,
  durability: "database",
});
const effect = (n: number, more: Partial<Effect> = {}): Effect => ({
  key: "key-1",
  n,
  id: `key-1-${n}`,
  token: 1,
  at: n,
  first: true,
  ...more,
});

test("an accepted write without an effect is lost", () => {
  expect(checkWrites([accepted(1), accepted(2)], [], [effect(1)]).lost).toEqual([
    "key-1-2 was accepted and never delivered",
  ]);
});

test("a repeated delivery is counted, and is no second effect", () => {
  const { repeated, twice } = checkWrites([accepted(1)], [], [effect(1), effect(1, { first: false })]);
  expect(repeated).toBe(1);
  expect(twice).toEqual([]);
});

test("a second effect of one write is named", () => {
  expect(checkWrites([accepted(1)], [], [effect(1), effect(1)]).twice).toEqual(["key-1-1 had 2 effects"]);
});

test("while the disk is full a write may be refused that is told so, and no other one", () => {
  const refused = (at: number, why: string): Written => ({ ...accepted(1), at, ok: false, why });
  const full = "the database has no room on its disk";
  const deed = { index: 0, kind: "disk-full", costs: "nothing" as const, targets: [], restarted: [] };
  const deeds = [{ ...deed, startedAt: 1_000, goneAt: 9_000, endedAt: 9_000 }];
  const count = (one: Written) => checkWrites([one], [], [], deeds).refused.length;
  expect([count(refused(5_000, full)), count(refused(5_000, "away")), count(refused(20_000, full))]).toEqual([
    0, 1, 1,
  ]);
});

test("within a key a younger write before its elder is disorder", () => {
  expect(checkWrites([], [], [effect(2), effect(1)]).outOfOrder).toEqual(["key-1-1 came after key-1-2"]);
  expect(checkWrites([], [], [effect(2), effect(1, { key: "key-2" })]).outOfOrder).toEqual([]);
});
