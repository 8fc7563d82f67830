import { expect, test } from "bun:test";
import { type Instance, toInstance } from "../wire/messages.ts";
import { toFormation, toStateText } from "./commands/ps.ts";
import { toMissing } from "./settle.ts";

const instance = (given: Partial<Instance>): Instance =>
  toInstance({ id: "x", app: "shop", name: "web.1", type: "web", release: 3, state: "up", ...given });

test("nothing is missing when each type has its instances of the release, and no other", () => {
  expect(toMissing({ web: 2, worker: 0 }, 3, [instance({}), instance({ name: "web.2" })])).toEqual([]);
});

test("an instance of another release, or one that only starts, does not count", () => {
  const list = [instance({ release: 2 }), instance({ name: "web.2", state: "starting" })];
  expect(toMissing({ web: 2 }, 3, list)).toEqual(["web: 0 of 2 up"]);
});

test("an instance that still stops is waited for, one that is down is not", () => {
  const list = [instance({}), instance({ name: "web.2", state: "stopping" })];
  expect(toMissing({ web: 1 }, 3, list)).toEqual(["web: 1 not stopped yet"]);
  expect(toMissing({ web: 1 }, 3, [instance({}), instance({ state: "down" })])).toEqual([]);
  expect(toMissing({}, 3, [instance({ type: "old", name: "old.1" })])).toEqual(["old: 1 not stopped yet"]);
});

test("a crashed instance is named with its reason", () => {
  const list = [instance({ state: "crashed", reason: "exited with status 1" })];
  expect(toMissing({ web: 1 }, 3, list)).toEqual(["web: 0 of 1 up (web.1 crashed: exited with status 1)"]);
});

test("ps says when a crashed instance is tried again, and why it crashed", () => {
  const crashed = instance({ state: "crashed", nextTryAt: 100_000, reason: "exited with status 1" });
  expect(toStateText(crashed, 60_000)).toBe("crashed, next try in 40 s (exited with status 1)");
  expect(toStateText(instance({}))).toBe("up");
});

test("a formation reads as it is written", () => {
  expect(toFormation({ web: 2, worker: 0 })).toBe("web=2 worker=0");
  expect(toFormation({})).toBe("nothing");
});
