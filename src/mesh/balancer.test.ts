import { expect, test } from "bun:test";
import { type Choice, choose, chooseLeastBad } from "./balancer.ts";

const target = (waiting: number, quarantinedUntil = 0, inflight = waiting): Choice => ({
  waiting,
  inflight,
  quarantinedUntil,
});

/** Chance that goes round. */
function turning(...values: number[]): () => number {
  let at = 0;
  return () => values[at++ % values.length]!;
}

test("the less busy of the two that chance names is taken", () => {
  const targets = [target(5), target(3), target(0)];
  expect(choose(targets, turning(0, 0.5), 0, null)).toBe(targets[1]!);
  expect(choose(targets, turning(0, 0), 0, null)).toBe(targets[2]!);
});

test("chance names two different ones, each as often as any other", () => {
  const targets = Array.from({ length: 4 }, () => target(0));
  const counts = new Map<Choice, number>();
  for (let i = 0; i < 400; i++) {
    const chosen = choose(targets, turning((i % 20) / 20, ((i * 7) % 19) / 19), 0, null)!;
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(count).toBe(100);
});

test("streams and tunnels decide only between those that are as busy otherwise", () => {
  const [streaming, idle, busy] = [target(0, 0, 50), target(0), target(1)];
  expect(choose([streaming, busy], turning(0, 0), 0, null)).toBe(streaming);
  expect(choose([streaming, idle], turning(0, 0), 0, null)).toBe(idle);
  expect(choose([idle, streaming], turning(0, 0), 0, null)).toBe(idle);
});

test("load spreads evenly when each request stays", () => {
  const targets = Array.from({ length: 10 }, () => ({ waiting: 0, inflight: 0, quarantinedUntil: 0 }));
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  for (let i = 0; i < 1_000; i++) choose(targets, random, 0, null)!.waiting++;
  for (const one of targets) expect(Math.abs(one.waiting - 100)).toBeLessThan(5);
});

test("the quarantined and the tried are passed over", () => {
  const targets = [target(0, 100), target(9), target(0)];
  expect(choose(targets, turning(0, 0.9), 50, [targets[2]!])).toBe(targets[1]!);
  expect(choose(targets, turning(0, 0.9), 50, targets)).toBeUndefined();
  expect(choose([targets[0]!], turning(0), 50, null)).toBeUndefined();
  expect(choose([targets[0]!], turning(0), 100, null)).toBe(targets[0]!);
  expect(choose([], turning(0), 0, null)).toBeUndefined();
});

test("when all are quarantined, the one that is free first is the least bad", () => {
  const targets = [target(0, 300), target(0, 100), target(0, 200)];
  expect(chooseLeastBad(targets)).toBe(targets[1]!);
  expect(chooseLeastBad([])).toBeUndefined();
});
