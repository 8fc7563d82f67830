import { expect, test } from "bun:test";
import { toInstance } from "./harness.ts";
import { defaultMeshLimits } from "./limits.ts";
import type { Outlook } from "./routable.ts";
import { Search } from "./search.ts";
import { Target } from "./target.ts";

const targets = (count: number) =>
  Array.from({ length: count }, (_, index) => new Target(toInstance(String(index), 1)));
const field = (routable: readonly Target[], outlook: Outlook = "wait") => ({
  routable,
  outlook: () => outlook,
});
const search = () => new Search(defaultMeshLimits, () => 0, 75_000);

test("each instance is tried once before there is a pause, and never more than ten in a row", () => {
  for (const [count, tries] of [
    [3, 3],
    [15, 10],
  ] as const) {
    const all = targets(count);
    const one = search();
    const tried = new Set<Target>();
    let step = one.next(field(all), 0);
    while (step.kind === "go") {
      expect(tried.has(step.target)).toBe(false);
      tried.add(step.target);
      one.failed(step.target, "H21");
      step = one.next(field(all), 0);
    }
    expect(tried.size).toBe(tries);
    expect(step.kind).toBe("wait");
  }
});

test("pauses double up to their cap, and the search ends at its time with the last fault", () => {
  const [target] = targets(1) as [Target];
  const one = search();
  const pauses: number[] = [];
  let now = 0;
  let step = one.next(field([target]), now);
  for (; step.kind !== "fail"; step = one.again(field([target]), now)) {
    if (step.kind === "go") {
      one.failed(target, "H19");
      target.quarantinedUntil = now + 5_000;
      step = one.next(field([target]), now);
    }
    if (step.kind !== "wait") break;
    pauses.push(step.ms);
    now += step.ms;
  }
  expect(pauses.slice(0, 8)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  expect(step).toEqual({ kind: "fail", code: "H19" });
  expect(now).toBe(75_000);
});

test("without any instance it waits to the end, and ends with H20; a crashed app ends it at once", () => {
  const one = search();
  expect(one.next(field([]), 0)).toEqual({ kind: "wait", ms: 75_000 });
  expect(one.again(field([]), 75_000)).toEqual({ kind: "fail", code: "H20" });
  expect(search().next(field([], "crashed"), 0)).toEqual({ kind: "fail", code: "H10" });
});

test("a new instance ends a pause; one that was tried does not", () => {
  const [old, fresh] = targets(2) as [Target, Target];
  const one = search();
  one.failed(old, "H21");
  expect(one.next(field([old]), 0).kind).toBe("wait");
  expect(one.woken(field([old]), 0).kind).toBe("wait");
  expect(one.woken(field([old, fresh]), 0)).toEqual({ kind: "go", target: fresh });
});

test("after a stale connection another instance is preferred, the same one taken if it is alone", () => {
  const [stale, other] = targets(2) as [Target, Target];
  expect(search().after(stale, field([stale, other]), 0)).toEqual({ kind: "go", target: other });
  expect(search().after(stale, field([stale]), 0)).toEqual({ kind: "go", target: stale });
  stale.quarantinedUntil = 5_000;
  expect(search().after(stale, field([stale]), 0).kind).toBe("wait");
});
