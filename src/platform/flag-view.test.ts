import { expect, test } from "bun:test";
import type { Replica } from "../registry/registry.ts";
import { createLog } from "../std/log.ts";
import { paths } from "../wire/records.ts";
import { FlagView } from "./flag-view.ts";

test("a plan of stages that cannot be understood leaves the last good one, and nobody is taken out of a flag", () => {
  let revision = 0;
  let value: unknown;
  let changed: (changes: readonly { path: string }[]) => void = () => {};
  const replica = {
    state: { kind: "live" },
    get: (path: string) =>
      path === paths.stages && value !== undefined ? { path, value, revision } : undefined,
    list: () => [],
    onChange(callback: typeof changed) {
      changed = callback;
      return { [Symbol.dispose]: () => {} };
    },
  };
  const lines: string[] = [];
  using view = new FlagView(
    replica as unknown as Replica,
    createLog({}, (line) => lines.push(line)),
  );
  const set = (given: unknown) => {
    value = given;
    revision++;
    changed([{ path: paths.stages }]);
  };
  expect(view.betaPercent).toBe(10);
  set({
    stages: [
      { name: "internal", audience: { percent: 0, users: ["anna"] } },
      { name: "beta", audience: { percent: 20 } },
    ],
  });
  const good = { users: view.stages[0]?.audience.users, percent: view.betaPercent };
  expect(good).toEqual({ users: ["anna"], percent: 20 });
  const internal = JSON.stringify(view.set.document.$evaluators);
  expect(internal).toContain("anna");
  set({ stages: [{ name: "beta", audience: { percent: 101 } }] });
  expect({ users: view.stages[0]?.audience.users, percent: view.betaPercent }).toEqual(good);
  expect(JSON.stringify(view.set.document.$evaluators)).toBe(internal);
  expect(lines.join()).toContain("audience.percent: expected a number from 0 to 100");
  expect(lines.filter((line) => line.includes("stages_kept"))).toHaveLength(1);
  set(undefined);
  expect(view.betaPercent).toBe(10);
});
