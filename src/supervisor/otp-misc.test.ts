/** The ledger of OTP's supervisor_SUITE: misc and significant. */
import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { Stage, settle, until } from "./puppet.ts";
import { type SupervisorSpec, startDynamic, startSupervisor } from "./supervisor.ts";

const often = { restarts: 100_000, periodMs: 3_600_000 };

test("child_unlink: a naughty child that never tells of its end cannot hang the stop", async () => {
  const clock = new FakeClock();
  const naughty = { exited: new Promise<never>(() => {}), stop() {}, kill() {} };
  const kinds: string[] = [];
  const sup = await startSupervisor(
    { id: "sup", children: [{ id: "naughty", start: async () => naughty }] },
    { clock, onEvent: ({ kind }) => kinds.push(kind) },
  );
  sup.stop();
  await clock.advance(60_000);
  expect(await sup.exited).toEqual({ kind: "shutdown" });
  expect(kinds).toContain("child_unkillable");
});

test("tree: sub-supervisors restart alone, and come back with the children of their spec only", async () => {
  const stage = new Stage();
  const inner = (id: string, ids: readonly string[]): SupervisorSpec => ({
    id,
    intensity: { restarts: 1, periodMs: 3_600_000 },
    children: ids.map((child) => stage.spec(child)),
  });
  await using top = await startSupervisor({
    id: "top",
    strategy: "one_for_all",
    intensity: { restarts: 3, periodMs: 3_600_000 },
    children: [inner("sup1", ["a"]), inner("sup2", ["b", "c"])],
  });
  expect(top.countChildren()).toEqual({ specs: 2, active: 2, supervisors: 2, workers: 0 });
  const restartsOf = (id: string) => top.whichChildren().find((row) => row.id === id)?.restarts;
  const rowsOf = (id: string) =>
    top
      .whichChildren()
      .find((row) => row.id === id)
      ?.children?.map((row) => row.id);

  // A child's crash is its own supervisor's business.
  stage.puppet("b").crash();
  await settle();
  expect(restartsOf("sup2")).toBe(0);
  expect(rowsOf("sup2")).toEqual(["c", "b"]);

  // One too many: sup2 gives up, top restarts all, b and c are new, and nobody is left over.
  const old = ["a", "b", "c"].map((id) => stage.puppet(id));
  stage.puppet("b").crash();
  await settle();
  await until(() => top.countChildren().active === 2, "both supervisors run");
  expect(restartsOf("sup2")).toBe(1);
  for (const puppet of old.filter(({ id }) => id !== "b")) expect(stage.puppet(puppet.id)).not.toBe(puppet);

  // A terminated supervisor comes back with a group restart.
  await top.terminateChild("sup1");
  expect(top.whichChildren().find((row) => row.id === "sup1")?.state).toBe("stopped");
  stage.puppet("b").crash();
  await settle();
  stage.puppet("b").crash();
  await settle();
  await until(() => top.countChildren().active === 2, "both supervisors run again");
});

test("tree: children that were added later are lost when their supervisor is restarted", async () => {
  const stage = new Stage();
  await using top = await startSupervisor({
    id: "top",
    children: [{ id: "inner", children: [stage.spec("a")], intensity: { restarts: 0, periodMs: 1_000 } }],
  });
  const inner = top.whichChildren()[0]?.child as Awaited<ReturnType<typeof startSupervisor>>;
  await inner.startChild(stage.spec("later"));
  stage.puppet("a").crash();
  await until(() => top.whichChildren()[0]?.restarts === 1, "inner is restarted");
  expect(top.whichChildren()[0]?.children?.map(({ id }) => id)).toEqual(["a"]);
  expect(stage.takeLog()).toContain("stop later");
});

test("a killed supervisor takes its children with it, and its parent restarts it", async () => {
  const stage = new Stage();
  await using top = await startSupervisor({
    id: "top",
    children: [{ id: "inner", children: [stage.spec("a")] }],
  });
  stage.takeLog();
  top.whichChildren()[0]?.child?.kill();
  await until(() => top.whichChildren()[0]?.restarts === 1, "inner is restarted");
  expect(stage.takeLog()).toEqual(["kill a", "start a"]);
});

test("count_children, count_children_supervisor", async () => {
  const stage = new Stage();
  const inner = { id: "inner", children: [stage.spec("x"), stage.spec("y")] };
  await using sup = await startSupervisor({ id: "sup", children: [stage.spec("a"), stage.spec("b"), inner] });
  expect(sup.countChildren()).toEqual({ specs: 3, active: 3, supervisors: 1, workers: 2 });
  await sup.terminateChild("a");
  expect(sup.countChildren()).toEqual({ specs: 3, active: 2, supervisors: 1, workers: 2 });
});

test("count_restarting_children: a restarting child has a spec and is not active", async () => {
  const stage = new Stage();
  await using sup = await startSupervisor({
    id: "sup",
    intensity: often,
    children: [stage.spec("a"), stage.spec("b")],
  });
  stage.failing.add("a");
  stage.puppet("a").crash();
  await until(() => stage.log.includes("fail a"), "a cannot restart");
  expect(sup.countChildren()).toEqual({ specs: 2, active: 1, supervisors: 0, workers: 2 });
});

test("do_not_save_child_specs_for_temporary_children", async () => {
  const stage = new Stage();
  await using sup = await startSupervisor({ id: "sup", children: [] });
  for (const how of ["ends", "is terminated"]) {
    await sup.startChild(stage.spec("a", { restart: "temporary" }));
    if (how === "ends") stage.puppet("a").end({ kind: "normal" });
    else await sup.terminateChild("a");
    await settle();
    expect(sup.childSpec("a")).toBeUndefined();
    expect(await sup.restartChild("a")).toEqual({ kind: "not_found" });
  }
});

test("simple_one_for_one_scale_many_temporary_children: ten times the children take no more than fifty times as long", async () => {
  const measure = async (count: number) => {
    const stage = new Stage();
    const template = (id: number) => stage.spec(String(id), { restart: "temporary" });
    const began = performance.now();
    const sup = await startDynamic({ id: "sup", template });
    for (let id = 0; id < count; id++) await sup.startChild(id);
    expect(sup.countChildren().active).toBe(count);
    for (let id = 0; id < count / 2; id++) stage.puppet(String(id)).end({ kind: "normal" });
    await until(() => sup.countChildren().active === count - Math.floor(count / 2), "half have ended");
    await sup[Symbol.asyncDispose]();
    return performance.now() - began;
  };
  await measure(1_000);
  const small = await measure(1_000);
  expect(await measure(10_000)).toBeLessThan(50 * small);
});

test("scale_start_stop_many_children: adding and deleting 10,000 one by one is about linear", async () => {
  const measure = async (count: number) => {
    const stage = new Stage();
    const began = performance.now();
    await using sup = await startSupervisor({ id: "sup", children: [] });
    for (let id = 0; id < count; id++) await sup.startChild(stage.spec(String(id)));
    for (let id = 0; id < count; id++) {
      await sup.terminateChild(String(id));
      await sup.deleteChild(String(id));
    }
    return performance.now() - began;
  };
  await measure(1_000);
  const small = await measure(1_000);
  expect(await measure(10_000)).toBeLessThan(10 * 10 * small);
});

test("hanging_restart_loop: between two tries the supervisor serves every call", async () => {
  const stage = new Stage();
  const sup = await startSupervisor({ id: "sup", intensity: often, children: [stage.spec("child1")] });
  stage.failing.add("child1");
  stage.puppet("child1").crash();
  await until(
    () => stage.log.filter((line) => line === "fail child1").length > 3,
    "it tries again and again",
  );
  expect(await sup.startChild(stage.spec("child1"))).toEqual({ kind: "already_present" });
  expect(await sup.restartChild("child1")).toEqual({ kind: "restarting" });
  expect(await sup.deleteChild("child1")).toEqual({ kind: "restarting" });
  expect(sup.whichChildren()).toMatchObject([{ id: "child1", state: "restarting" }]);
  expect(await sup.terminateChild("child1")).toEqual({ kind: "ok" });
  expect(sup.whichChildren()).toMatchObject([{ id: "child1", state: "stopped" }]);
  stage.takeLog();
  await settle();
  expect(stage.takeLog()).toEqual([]);

  stage.failing.clear();
  await sup.restartChild("child1");
  stage.failing.add("child1");
  stage.puppet("child1").crash();
  await until(() => stage.log.includes("fail child1"), "the loop again");
  sup.stop();
  expect(await sup.exited).toEqual({ kind: "shutdown" });
});

test("hanging_restart_loop_rest_for_one: the same, with an earlier child untouched and a later one down", async () => {
  const stage = new Stage();
  const ids = ["child1", "child2", "child3"];
  const sup = await startSupervisor({
    id: "sup",
    strategy: "rest_for_one",
    intensity: often,
    children: ids.map((id) => stage.spec(id)),
  });
  const first = stage.puppet("child1");
  stage.failing.add("child2");
  stage.puppet("child2").crash();
  await until(
    () => stage.log.filter((line) => line === "fail child2").length > 3,
    "child2 tries again and again",
  );
  expect(await sup.startChild(stage.spec("child2"))).toEqual({ kind: "already_present" });
  expect(await sup.restartChild("child2")).toEqual({ kind: "restarting" });
  expect(await sup.deleteChild("child2")).toEqual({ kind: "restarting" });
  const states = () => sup.whichChildren().map(({ state }) => state);
  expect(states()).toEqual(["stopped", "restarting", "running"]);
  expect(await sup.terminateChild("child2")).toEqual({ kind: "ok" });
  expect(states()).toEqual(["stopped", "stopped", "running"]);
  expect(stage.puppet("child1")).toBe(first);
  sup.stop();
  expect(await sup.exited).toEqual({ kind: "shutdown" });
});

test("hanging_restart_loop_simple: a dynamic child in the loop can be terminated, and is forgotten", async () => {
  const stage = new Stage();
  await using sup = await startDynamic({
    id: "sup",
    intensity: often,
    template: (id: string) => stage.spec(id),
  });
  await sup.startChild("a");
  stage.failing.add("a");
  stage.puppet("a").crash();
  await until(() => stage.log.filter((line) => line === "fail a").length > 3, "it tries again and again");
  expect(sup.whichChildren()).toMatchObject([{ id: "a", state: "restarting" }]);
  expect(await sup.terminateChild("a")).toEqual({ kind: "ok" });
  expect(sup.whichChildren()).toEqual([]);
});

test("order_of_children: third of five crashes: 5 and 4 stop, 3, 4 and 5 start; the end is 5 to 1", async () => {
  const stage = new Stage();
  const ids = ["1", "2", "3", "4", "5"];
  const children = ids.map((id) => stage.spec(id, { manner: "late" }));
  const sup = await startSupervisor({ id: "sup", strategy: "rest_for_one", children });
  stage.takeLog();
  stage.puppet("3").crash();
  await until(() => stage.log.includes("start 5"), "all run again");
  expect(stage.takeLog()).toEqual(["stop 5", "stop 4", "start 3", "start 4", "start 5"]);
  await sup[Symbol.asyncDispose]();
  expect(stage.takeLog()).toEqual(["stop 5", "stop 4", "stop 3", "stop 2", "stop 1"]);
});

// ------------------------------------------------------------------ significant

type Auto = NonNullable<SupervisorSpec["autoShutdown"]>;
const temporary = { restart: "temporary", significant: true } as const;
const transient = { restart: "transient", significant: true } as const;

function open(
  stage: Stage,
  autoShutdown: Auto,
  children: SupervisorSpec["children"],
  more: Partial<SupervisorSpec> = {},
) {
  return startSupervisor(
    { id: "sup", autoShutdown, children, intensity: often, ...more },
    { onEvent: stage.onEvent },
  );
}

test("nonsignificant_temporary, nonsignificant_transient: their end ends nobody", async () => {
  for (const restart of ["temporary", "transient"] as const) {
    const stage = new Stage();
    await using sup = await open(stage, "any_significant", [stage.spec("a", { restart })]);
    stage.puppet("a").end({ kind: "normal" });
    await settle();
    expect(sup.countChildren().active).toBe(0);
    expect((await sup.startChild(stage.spec("b"))).kind).toBe("started");
  }
});

test("significant_temporary: any end counts, also a crash; being terminated does not", async () => {
  for (const exit of [{ kind: "normal" }, { kind: "shutdown" }, { kind: "crashed", reason: "x" }] as const) {
    const stage = new Stage();
    const sup = await open(stage, "any_significant", [stage.spec("a", temporary), stage.spec("b")]);
    stage.puppet("a").end(exit);
    expect(await sup.exited).toEqual({ kind: "shutdown", detail: "auto_shutdown" });
    expect(stage.takeLog()).toContain("stop b");
  }
  const stage = new Stage();
  await using sup = await open(stage, "any_significant", [stage.spec("a", temporary)]);
  await sup.terminateChild("a");
  expect((await sup.startChild(stage.spec("b"))).kind).toBe("started");
});

test("significant_temporary: with all_significant only the last one's end counts", async () => {
  const stage = new Stage();
  const sup = await open(stage, "all_significant", [
    stage.spec("a", temporary),
    stage.spec("b", temporary),
    stage.spec("c"),
  ]);
  stage.puppet("a").crash();
  await settle();
  expect(sup.countChildren().active).toBe(2);
  stage.puppet("b").end({ kind: "normal" });
  expect(await sup.exited).toEqual({ kind: "shutdown", detail: "auto_shutdown" });
});

test("significant_transient: a crash restarts it, a normal end ends the supervisor", async () => {
  const stage = new Stage();
  const sup = await open(stage, "any_significant", [stage.spec("a", transient)]);
  stage.puppet("a").crash();
  await settle();
  expect(sup.whichChildren()).toMatchObject([{ id: "a", state: "running", restarts: 1 }]);
  stage.puppet("a").end({ kind: "normal" });
  expect(await sup.exited).toEqual({ kind: "shutdown", detail: "auto_shutdown" });
});

test("significant_simple: a significant dynamic child's end ends its supervisor", async () => {
  const stage = new Stage();
  const template = (id: string) => stage.spec(id, transient);
  const sup = await startDynamic({ id: "sup", autoShutdown: "all_significant", template });
  for (const id of ["a", "b"]) await sup.startChild(id);
  stage.puppet("a").end({ kind: "normal" });
  await settle();
  expect(sup.countChildren().active).toBe(1);
  stage.puppet("b").end({ kind: "normal" });
  expect(await sup.exited).toMatchObject({ detail: "auto_shutdown" });
});

test("significant_bystander: one that is stopped with its group has not ended by itself", async () => {
  const stage = new Stage();
  await using sup = await open(
    stage,
    "any_significant",
    [stage.spec("a"), stage.spec("b", temporary), stage.spec("c", transient)],
    { strategy: "one_for_all" },
  );
  stage.puppet("a").crash();
  await settle();
  expect(sup.whichChildren().map(({ id, state }) => [id, state])).toEqual([
    ["c", "running"],
    ["a", "running"],
  ]);
});

test("significant_escalation: a significant sub-supervisor that shuts down by itself ends its parent", async () => {
  const stage = new Stage();
  const inner: SupervisorSpec = {
    id: "inner",
    restart: "transient",
    significant: true,
    autoShutdown: "any_significant",
    children: [stage.spec("a", transient)],
  };
  const top = await open(stage, "any_significant", [inner, stage.spec("b")]);
  stage.puppet("a").end({ kind: "normal" });
  expect(await top.exited).toEqual({ kind: "shutdown", detail: "auto_shutdown" });
  expect(stage.takeLog()).toContain("stop b");
});
