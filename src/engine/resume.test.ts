import { expect, test } from "bun:test";
import { nextAttempt } from "../supervisor/supervisor.ts";
import type { Instance, InstanceState } from "../wire/messages.ts";
import { defaultLimits } from "../wire/records.ts";
import { toCourse } from "./resume.ts";

const moment = { now: 1_000_000, wall: 50_000_000, ageMs: 30_000 };
const instance = (state: InstanceState, more: Partial<Instance> = {}): Instance => ({
  ...{ id: "u1", app: "shop", name: "web.1", type: "web", release: 1, generation: 0, host: "127.0.0.1" },
  ...{ port: 1, pid: 2, state, since: moment.wall - 10_000, attempts: 4, nextTryAt: 0, reason: "" },
  ...more,
});
const resume = (given: Instance, at = moment) => toCourse(given, defaultLimits, 3, at);

test("what was up is up, for as long as it was, with the crashes that it had", () => {
  expect(resume(instance("up"))).toEqual({
    life: { kind: "up", failures: 0 },
    attempts: 4,
    cooloff: { crashes: 3, nextAt: 1_000_000, startedAt: 990_000 },
    launchedAt: 970_000,
  });
});

test("a boot has what is left of its time, by its process's age", () => {
  const { life, cooloff } = resume(instance("starting"));
  expect(life).toEqual({ kind: "starting", deadline: 1_030_000 });
  expect(cooloff.startedAt).toBeUndefined();
});

test("draining and stopping have what is left of theirs", () => {
  expect(resume(instance("draining")).life).toMatchObject({ kind: "draining", until: 1_020_000 });
  expect(resume(instance("stopping")).life).toMatchObject({ kind: "stopping", killAt: 1_020_000 });
});

test("a cool-off goes on, and a clock that jumped cannot make it endless", () => {
  const waiting = instance("crashed", { nextTryAt: moment.wall + 7_000, reason: "exited" });
  const dead = { ...moment, ageMs: 0 };
  expect(resume(waiting, dead).life).toEqual({ kind: "crashed", tryAt: 1_007_000, reason: "exited" });
  const jumped = instance("crashed", { nextTryAt: moment.wall + 1e12 });
  expect(resume(jumped, dead).life).toMatchObject({ tryAt: 1_000_000 + 15 * 60_000 });
  const past = instance("crashed", { nextTryAt: 5 });
  expect(resume(past, dead).life).toMatchObject({ tryAt: 1_000_000 });
});

test("a clock that was put forward does not age anything beyond its process", () => {
  const forward = { ...moment, wall: moment.wall + 1e12 };
  expect(resume(instance("draining"), forward).life).toMatchObject({ until: 1_000_000 });
  expect(resume(instance("up"), forward).cooloff.startedAt).toBe(970_000);
});

test("an instance that ended together with its agent is started again at once, however often it crashed before", () => {
  const { cooloff } = resume(instance("up"), { ...moment, ageMs: 0 });
  expect(nextAttempt(cooloff, { kind: "crashed" }, moment.now, 0)).toMatchObject({
    crashes: 1,
    nextAt: moment.now,
  });
});
