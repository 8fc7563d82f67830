import { expect, test } from "bun:test";
import type { InstanceState } from "../wire/messages.ts";
import { toInstance } from "./harness.ts";
import { toOutlook, toRoutable } from "./routable.ts";

const place = (id: string, release: number, generation = 0, state: InstanceState = "up", nextTryAt = 0) => ({
  instance: toInstance(id, 1, { release, generation, state, nextTryAt }),
});
const ids = (places: readonly { instance: { id: string } }[]) =>
  places.map(({ instance }) => instance.id).join("");

test("only what is up, of the current release and generation, gets requests", () => {
  const places = [
    place("a", 2, 1),
    place("b", 2, 0),
    place("c", 1, 5),
    place("d", 2, 1, "starting"),
    place("e", 2, 1, "draining"),
    place("f", 2, 1, "unhealthy"),
    place("g", 2, 1),
  ];
  expect(ids(toRoutable(places, { release: 2, generation: 1 }))).toBe("ag");
});

test("what is newer than current gets nothing, even when there is nothing else", () => {
  expect(ids(toRoutable([place("a", 3), place("b", 2, 1)], { release: 2, generation: 0 }))).toBe("");
});

test("without the current ones the newest older ones serve", () => {
  const places = [place("a", 1), place("b", 3), place("c", 2, 4), place("d", 2, 4), place("e", 2, 3)];
  expect(ids(toRoutable(places, { release: 2, generation: 5 }))).toBe("cd");
});

test("an app without a current release has nobody", () => {
  expect(ids(toRoutable([place("a", 1)], undefined))).toBe("");
});

test("a worker, and what does not listen, gets no requests", () => {
  const worker = { instance: toInstance("w", 1, { type: "worker" }) };
  const silent = { instance: toInstance("s", 0) };
  expect(ids(toRoutable([worker, silent], { release: 1, generation: 0 }))).toBe("");
});

const current = { release: 1, generation: 0 };

test("an app is crashed when all its places wait out a long cool-off", () => {
  const crashed = place("a", 1, 0, "crashed", 60_000);
  expect(toOutlook([crashed], current, 2_000)).toBe("crashed");
  expect(toOutlook([crashed, place("b", 1, 0, "starting")], current, 2_000)).toBe("wait");
  expect(toOutlook([crashed, place("b", 1, 0, "crashed", 1_000)], current, 2_000)).toBe("wait");
  expect(toOutlook([crashed, place("b", 1, 0, "down")], current, 2_000)).toBe("crashed");
  expect(toOutlook([], current, 2_000)).toBe("wait");
});

test("a crashed release is none of the next one's business", () => {
  expect(toOutlook([place("a", 1, 0, "crashed", 60_000)], { release: 2, generation: 0 }, 0)).toBe("wait");
});
