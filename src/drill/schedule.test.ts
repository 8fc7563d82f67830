import { expect, test } from "bun:test";
import { chooseKinds, kinds } from "./kinds.ts";
import { toSchedule } from "./schedule.ts";

const tenMinutes = 600_000;

test("the same seed gives the same schedule, step by step", () => {
  expect(toSchedule(kinds, 7, tenMinutes)).toEqual(toSchedule(kinds, 7, tenMinutes));
});

test("another seed gives another schedule", () => {
  expect(toSchedule(kinds, 8, tenMinutes)).not.toEqual(toSchedule(kinds, 7, tenMinutes));
});

test("every kind comes before any comes again", () => {
  const steps = toSchedule(kinds, 3, 3_600_000).map((step) => step.kind);
  expect(new Set(steps.slice(0, kinds.length)).size).toBe(kinds.length);
});

test("no step is planned beyond the end, and none before what is normal was measured", () => {
  for (const step of toSchedule(kinds, 5, tenMinutes)) {
    expect(step.atMs).toBeGreaterThanOrEqual(5_000);
    expect(step.atMs).toBeLessThan(tenMinutes);
  }
});

test("kinds are chosen by name and by group, and what is neither is named", () => {
  const { chosen, unknown } = chooseKinds(["kill-router", "change", "kil-router"]);
  expect(chosen.map((kind) => kind.name)).toContain("deploy");
  expect(chosen.filter((kind) => kind.group === "kill").map((kind) => kind.name)).toEqual(["kill-router"]);
  expect(unknown).toEqual(["kil-router"]);
});
