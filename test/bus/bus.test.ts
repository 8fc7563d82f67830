/** The checker's short form; `bun test/bus/long.ts MINUTES` is the long one. */
import { expect, test } from "bun:test";
import { check } from "./checker.ts";

test("brokers killed, stopped, cut off and full: no acked message is lost, no effect happens twice, order holds", async () => {
  const seconds = process.env.NINES_TEST === "long" ? 600 : 15;
  const verdict = await check({ seconds, publishers: 4, subscribers: 4, perSecond: 200 });
  console.log(JSON.stringify(verdict));
  expect(verdict.lost).toEqual([]);
  expect(verdict.duplicateEffects).toEqual([]);
  expect(verdict.outOfOrder).toEqual([]);
  expect(verdict.acked).toBeGreaterThan(seconds * 400);
  for (const count of Object.values(verdict.faults)) expect(count).toBeGreaterThan(0);
}, 1_200_000);
