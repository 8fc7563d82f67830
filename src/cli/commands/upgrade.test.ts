import { expect, test } from "bun:test";
import type { PartKind, PartStatus } from "../../wire/part.ts";
import { toUpgradeOrder } from "./upgrade.ts";

const part = (name: string): PartStatus => ({
  name,
  kind: name.split(".")[0] as PartKind,
  pid: 1,
  state: "up",
  restarts: 0,
  since: null,
});

test("the first of each kind goes before the second of any; PostgreSQL, kernel and heart stay", () => {
  const names = ["heart", "kernel", "postgres", "broker.1", "broker.2", "controller.1", "controller.2"];
  const more = ["relay.1", "agent", "router.1", "router.2"];
  expect(toUpgradeOrder([...names, ...more].map(part))).toEqual([
    ...["relay.1", "broker.1", "controller.1", "agent", "router.1"],
    ...["broker.2", "controller.2", "router.2"],
  ]);
});
