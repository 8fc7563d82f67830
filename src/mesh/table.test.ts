import { expect, test } from "bun:test";
import { always, get, ok, Rig, startBackend, toInstance, until } from "./harness.ts";
import { Table } from "./table.ts";

const record = {
  name: "shop",
  current: { release: 1, generation: 0 },
  hosts: [],
  maintenance: false,
  routing: {},
  formationWeb: 1,
  hasRelease: true,
};

function routable(table: Table): string {
  return (table.routes.find("shop.localhost")?.routable ?? [])
    .map(({ instance }) => instance.id)
    .sort()
    .join("");
}

test("a report older than the last one of its agent changes nothing", () => {
  const table = new Table(() => {});
  table.setApp("shop", record, 1);
  expect(
    table.applyInstances({ agent: "a", seq: 5, complete: true, instances: [toInstance("1", 1)] }, 0),
  ).toBe(true);
  for (const seq of [5, 4]) {
    expect(table.applyInstances({ agent: "a", seq, complete: true, instances: [] }, 0)).toBe(false);
  }
  expect(routable(table)).toBe("1");
});

test("a complete report replaces its agent's instances, and nobody else's", () => {
  const table = new Table(() => {});
  table.setApp("shop", record, 1);
  const report = (agent: string, seq: number, complete: boolean, ...ids: string[]) =>
    table.applyInstances({ agent, seq, complete, instances: ids.map((id) => toInstance(id, 1)) }, 0);
  report("a", 1, true, "1", "2");
  report("b", 1, true, "3");
  report("a", 2, false, "4");
  expect(routable(table)).toBe("1234");
  report("a", 3, true, "4");
  expect(routable(table)).toBe("34");
});

test("a switch of the current release moves the traffic at once", () => {
  const table = new Table(() => {});
  table.setApp("shop", record, 1);
  const instances = [
    toInstance("1", 1),
    toInstance("2", 1, { release: 2 }),
    toInstance("3", 1, { generation: 1 }),
  ];
  table.applyInstances({ agent: "a", seq: 1, complete: true, instances }, 0);
  expect(routable(table)).toBe("1");
  table.setApp("shop", { ...record, current: { release: 1, generation: 1 } }, 2);
  expect(routable(table)).toBe("3");
  table.setApps(new Map([["shop", { ...record, current: { release: 2, generation: 1 } }]]), 3);
  expect([routable(table), table.revision]).toEqual(["2", 3]);
  table.setApp("shop", { ...record, current: { release: 2, generation: 0 } }, 4);
  expect(routable(table)).toBe("2");
  table.setApps(new Map(), 5);
  expect(table.routes.find("shop.localhost")).toBeUndefined();
});

test("a snapshot restored is the same table, and newer reports still count", () => {
  const table = new Table(() => {});
  table.setApp("shop", record, 1);
  table.applyInstances({ agent: "a", seq: 7, complete: true, instances: [toInstance("1", 1)] }, 0);
  const restored = new Table(() => {});
  restored.restore(JSON.parse(JSON.stringify(table.snapshot())), 0);
  restored.setApp("shop", record, 1);
  expect(routable(restored)).toBe("1");
  expect(restored.applyInstances({ agent: "a", seq: 7, complete: true, instances: [] }, 0)).toBe(false);
  expect(restored.applyInstances({ agent: "a", seq: 8, complete: true, instances: [] }, 0)).toBe(true);
  expect(routable(restored)).toBe("");
});

test("a damaged snapshot is refused or empty, and never half taken by its agent", () => {
  for (const value of [null, 3, {}, { agents: 3 }, { agents: [{ agent: 1 }] }]) {
    const table = new Table(() => {});
    table.restore(value, 0);
    expect(table.snapshot().agents).toEqual([]);
  }
  const table = new Table(() => {});
  const agents = [{ agent: "a", seq: 1, instances: [toInstance("1", 1), { id: 3 }] }];
  expect(() => table.restore({ agents }, 0)).toThrow("not an instance");
  expect(table.snapshot().agents).toEqual([]);
});

test("a draining instance gets nothing new, and is drained when its last request has ended", async () => {
  let changes = 0;
  await using slow = await startBackend(() => {});
  await using backend = await startBackend(always(ok));
  await using rig = new Rig({}, () => changes++);
  rig.report(toInstance("1", slow.port));
  const asking = rig.ask(get());
  await until(() => slow.text.endsWith("\r\n\r\n"), "the request inside");
  rig.report(toInstance("2", backend.port));
  rig.change("1", "draining");
  for (let i = 0; i < 10; i++) expect(await rig.ask(get())).toContain("200 OK");
  expect([rig.mesh.drained(), changes]).toEqual([[], 0]);
  slow.connections[0]!.send(ok);
  expect(await asking).toContain("200 OK");
  await until(() => changes === 1, "the change");
  expect(rig.mesh.drained()).toEqual(["1"]);
  expect(slow.connections.length).toBe(1);
});

test("an idle connection to a draining instance is closed, and then it is drained", async () => {
  let changes = 0;
  await using backend = await startBackend(always(ok));
  await using rig = new Rig({}, () => changes++);
  rig.up(backend);
  await rig.ask(get());
  rig.change("1", "draining");
  expect([rig.mesh.drained(), changes]).toEqual([["1"], 1]);
  await backend.connections[0]!.ends();
  expect(backend.connections[0]!.error).toBe("");
  rig.change("1", "stopping");
  expect([rig.mesh.drained(), changes]).toEqual([["1"], 1]);
});

test("an instance that vanished is drained, for a while", async () => {
  const table = new Table(() => {});
  table.applyInstances({ agent: "a", seq: 1, complete: true, instances: [toInstance("1", 1)] }, 0);
  table.applyInstances({ agent: "a", seq: 2, complete: true, instances: [] }, 1_000);
  expect(table.drained()).toEqual(["1"]);
  table.forget(999);
  expect(table.drained()).toEqual(["1"]);
  table.forget(1_001);
  expect(table.drained()).toEqual([]);
});

test("a crashed instance loses its idle connections at once", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  await rig.ask(get());
  rig.change("1", "crashed");
  await backend.connections[0]!.ends();
});
