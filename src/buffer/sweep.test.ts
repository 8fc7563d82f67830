import { expect, test } from "bun:test";
import { systemClock } from "../std/clock.ts";
import { defer } from "../std/defer.ts";
import { createLog } from "../std/log.ts";
import { Sweep } from "./sweep.ts";

const log = createLog({}, () => {});

test("what is removed while a fetch is under way is known until its answer was looked through, and then forgotten", async () => {
  using sweep = new Sweep("pay", { remove: async () => {} }, systemClock, log);
  sweep.add(1);
  const answer = defer<readonly number[]>();
  const fetching = sweep.during(
    () => answer.promise,
    (ids) => ids.filter((id) => !sweep.has(id)),
  );
  // The answer still has it: its snapshot is older than the removal.
  await sweep.flush();
  expect(sweep.size).toBe(0);
  answer.resolve([1, 2]);
  expect(await fetching).toEqual([2]);
  expect(sweep.has(1)).toBe(false);
});
