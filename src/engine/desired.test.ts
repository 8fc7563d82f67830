import { expect, test } from "bun:test";
import { paths } from "../wire/records.ts";
import { type Records, toWanted } from "./desired.ts";

const release = (version: number, more: object = {}) => ({
  app: "shop",
  version,
  build: `b${version}`,
  config: { COLOR: `c${version}` },
  processes: { web: "node server.js", worker: "node worker.js", release: "node migrate.js" },
  createdAt: "2026-11-23T06:00:00Z",
  ...more,
});

const rollout = (state: string, more: object = {}) => ({
  id: "r1",
  app: "shop",
  kind: "deploy",
  state,
  target: { release: 2, generation: 0 },
  baseline: { release: 1, generation: 0 },
  startedAt: "2026-11-23T06:00:00Z",
  changedAt: "2026-11-23T06:00:00Z",
  ...more,
});

function records(values: Record<string, unknown>): Records {
  const map = new Map(
    Object.entries({
      [paths.app("shop")]: { name: "shop", number: 7, createdAt: "" },
      [paths.release("shop", 1)]: release(1),
      [paths.release("shop", 2)]: release(2),
      ...values,
    }),
  );
  return {
    revision: 42,
    get: (path) => map.get(path),
    list: (prefix) => [...map].filter(([path]) => path.startsWith(prefix)),
  };
}

const keys = (values: Record<string, unknown>) =>
  toWanted(records(values))
    .places.map((place) => place.key)
    .toSorted();

const formation = { [paths.formation("shop")]: { web: 2, worker: 1 } };
const current = (version: number, generation = 0) => ({
  [paths.current("shop")]: { release: version, generation },
});
const of = (version: string) => [
  `shop/${version}/web.1`,
  `shop/${version}/web.2`,
  `shop/${version}/worker.1`,
];

test("an app without a release wants nothing", () => {
  expect(keys(formation)).toEqual([]);
});

test("current times formation is wanted, the release command is never scaled", () => {
  expect(keys({ ...formation, ...current(1) })).toEqual(of("1.0"));
  expect(keys({ [paths.formation("shop")]: { release: 3 }, ...current(1) })).toEqual([]);
});

test("a first deploy wants its target before there is a current", () => {
  const first = rollout("starting", { baseline: undefined });
  expect(keys({ ...formation, [paths.rollout("shop")]: first })).toEqual(of("2.0"));
});

for (const [state, wanted] of Object.entries({
  building: of("1.0"),
  releasing: of("1.0"),
  starting: [...of("1.0"), ...of("2.0")],
  failed: of("1.0"),
})) {
  test(`before the switch, in ${state}, current serves`, () => {
    expect(keys({ ...formation, ...current(1), [paths.rollout("shop")]: rollout(state) })).toEqual(wanted);
  });
}

for (const [state, wanted] of Object.entries({
  switching: [...of("1.0"), ...of("2.0")],
  draining: of("2.0"),
  done: of("2.0"),
})) {
  test(`after the switch, in ${state}, the target is current`, () => {
    expect(keys({ ...formation, ...current(2), [paths.rollout("shop")]: rollout(state) })).toEqual(wanted);
  });
}

test("a restart is the same release in another generation, both run while it switches", () => {
  const restart = rollout("switching", {
    kind: "restart",
    target: { release: 1, generation: 1 },
    baseline: { release: 1, generation: 0 },
  });
  expect(keys({ ...formation, ...current(1, 1), [paths.rollout("shop")]: restart })).toEqual([
    ...of("1.0"),
    ...of("1.1"),
  ]);
});

test("a place carries all that it takes to run it", () => {
  const health = { path: "/ok", intervalMs: 500, timeoutMs: 400, failures: 2 };
  const wanted = toWanted(
    records({ ...formation, ...current(3), [paths.release("shop", 3)]: release(3, { health, extra: 1 }) }),
  );
  expect(wanted.revision).toBe(42);
  expect(wanted.places[0]).toMatchObject({
    app: "shop",
    appNumber: 7,
    name: "web.1",
    build: "b3",
    command: "node server.js",
    config: { COLOR: "c3" },
    health,
    limits: { graceMs: 30_000 },
  });
  expect(wanted.places.find((place) => place.type === "worker")?.health).toBeUndefined();
});

test("a process type that the release does not have is not wanted", () => {
  expect(keys({ [paths.formation("shop")]: { web: 1, clock: 4 }, ...current(1) })).toEqual([
    "shop/1.0/web.1",
  ]);
});

for (const [what, values] of Object.entries({
  "a current that is no object": { [paths.current("shop")]: "v1" },
  "a rollout state of a newer version": { ...current(1), [paths.rollout("shop")]: rollout("pausing") },
  "a formation that is no number": { ...current(1), [paths.formation("shop")]: { web: "many" } },
  "a formation beyond reason": { ...current(1), [paths.formation("shop")]: { web: 1e9 } },
  "a release that is missing": current(9),
  "an app record without its number": { [paths.app("shop")]: { name: "shop" } },
})) {
  test(`${what} freezes that app and no other`, () => {
    const other = {
      [paths.app("blog")]: { name: "blog", number: 8, createdAt: "" },
      [paths.release("blog", 1)]: { ...release(1), app: "blog" },
      [paths.current("blog")]: { release: 1, generation: 0 },
      [paths.formation("blog")]: { web: 1 },
    };
    const wanted = toWanted(records({ ...formation, ...values, ...other }));
    expect([...wanted.frozen.keys()]).toEqual(["shop"]);
    expect(wanted.places.map((place) => place.key)).toEqual(["blog/1.0/web.1"]);
  });
}

test("an app that is gone wants nothing and is not frozen", () => {
  const wanted = toWanted(records({ ...formation, ...current(1), [paths.app("shop")]: undefined }));
  expect(wanted.places).toEqual([]);
});
