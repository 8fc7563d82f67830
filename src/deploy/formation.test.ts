import { describe, expect, test } from "bun:test";
import { describeFormation, firstFormation, nextFormation, toPlaces } from "./formation.ts";

const types = ["web", "worker", "release"];

test("changes are absolute or relative, and leave the rest", () => {
  expect(nextFormation({ web: 1, worker: 1 }, ["web=3", "worker+1"], types)).toEqual({ web: 3, worker: 2 });
  expect(nextFormation({ web: 1, worker: 1 }, ["worker-1"], types)).toEqual({ web: 1, worker: 0 });
  expect(nextFormation({}, ["web+2", "web+1"], types)).toEqual({ web: 3 });
  expect(nextFormation({}, ["my-type=3"], undefined)).toEqual({ "my-type": 3 });
});

describe("refused", () => {
  const bad: readonly [string, string][] = [
    ["web", '"web" is not a change of scale'],
    ["web=", "is not a change"],
    ["web=x", "is not a change"],
    ["web=-1", "is not a change"],
    ["web=101", "web would be 101, it can be 0 to 100"],
    ["web-2", "web would be -1"],
    ["wbe=1", 'no process type "wbe"'],
    ["release=1", "it cannot be scaled"],
  ];
  for (const [change, message] of bad)
    test(change, () => expect(() => nextFormation({ web: 1 }, [change], types)).toThrow(message));
  test("nothing", () => expect(() => nextFormation({}, [], types)).toThrow("nothing to scale"));
});

test("the first formation is one web, or what nines.yaml says; what was scaled before wins", () => {
  expect(firstFormation(undefined, types, {})).toEqual({ web: 1, worker: 0 });
  expect(firstFormation(undefined, types, { worker: 2 })).toEqual({ web: 1, worker: 2 });
  expect(firstFormation({ web: 5 }, types, { web: 2 })).toEqual({ web: 5, worker: 0 });
});

test("places are the instances by name; a type that the Procfile lost has none", () => {
  expect(toPlaces({ web: 2, gone: 3, worker: 0 }, types)).toEqual(["web.1", "web.2"]);
  expect(describeFormation({ web: 2, worker: 1 })).toBe("web=2, worker=1");
});
