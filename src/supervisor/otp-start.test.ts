/** The ledger of OTP's supervisor_SUITE: groups sup_start, sup_start_map, sup_stop and admin. */
import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { Stage, settle, until } from "./puppet.ts";
import {
  type ChildSpec,
  type Restart,
  type SupervisorSpec,
  startDynamic,
  startSupervisor,
} from "./supervisor.ts";

const intensity = { restarts: 2, periodMs: 3_600_000 };

function open(stage: Stage, children: SupervisorSpec["children"] = [], more: Partial<SupervisorSpec> = {}) {
  return startSupervisor({ id: "sup", intensity, children, ...more }, { onEvent: stage.onEvent });
}

test("sup_start_normal: starts, and stops in order with reason shutdown", async () => {
  const stage = new Stage();
  const sup = await open(stage, [stage.spec("a"), stage.spec("b")]);
  sup.stop();
  expect(await sup.exited).toEqual({ kind: "shutdown" });
  expect(stage.takeLog()).toEqual(["start a", "start b", "stop b", "stop a"]);
});

test("sup_start_ignore_child: a child that ignores keeps its spec and has no process", async () => {
  const stage = new Stage();
  await using sup = await open(stage);
  stage.ignoring.add("child1");
  expect(await sup.startChild(stage.spec("child1"))).toEqual({ kind: "ignored" });
  expect((await sup.startChild(stage.spec("child2"))).kind).toBe("started");
  expect(sup.whichChildren().map(({ id, state }) => [id, state])).toEqual([
    ["child2", "running"],
    ["child1", "stopped"],
  ]);
  expect(sup.countChildren()).toEqual({ specs: 2, active: 1, supervisors: 0, workers: 2 });
});

test("sup_start_ignore_temporary_child: its spec is not kept", async () => {
  const stage = new Stage();
  stage.ignoring.add("child1");
  const temporary = { restart: "temporary" } as const;
  await using sup = await open(stage, [stage.spec("child1", temporary), stage.spec("child2", temporary)]);
  expect(sup.countChildren()).toEqual({ specs: 1, active: 1, supervisors: 0, workers: 1 });
});

test("sup_start_ignore_temporary_child_start_child: nor when it was added later", async () => {
  const stage = new Stage();
  stage.ignoring.add("child1");
  await using sup = await open(stage);
  expect(await sup.startChild(stage.spec("child1", { restart: "temporary" }))).toEqual({ kind: "ignored" });
  expect(sup.whichChildren()).toEqual([]);
});

test("sup_start_ignore_permanent_child_start_child_simple: a dynamic child that ignores is forgotten, and the stop is clean", async () => {
  const stage = new Stage();
  stage.ignoring.add("child1");
  const sup = await startDynamic({ id: "sup", template: (id: string) => stage.spec(id) });
  expect(await sup.startChild("child1")).toEqual({ kind: "ignored" });
  expect((await sup.startChild("child2")).kind).toBe("started");
  expect(sup.countChildren()).toEqual({ specs: 1, active: 1, supervisors: 0, workers: 1 });
  sup.stop();
  expect(await sup.exited).toEqual({ kind: "shutdown" });
});

test("sup_start_fail: when one of the first children cannot start, the others are stopped in reverse and the start throws", async () => {
  const stage = new Stage();
  stage.failing.add("c");
  const starting = open(stage, [stage.spec("a"), stage.spec("b"), stage.spec("c"), stage.spec("d")]);
  expect(starting).rejects.toThrow("failed_to_start_child c: c cannot start");
  await starting.catch(() => {});
  // No restart is tried at the first start.
  expect(stage.takeLog()).toEqual(["start a", "start b", "fail c", "stop b", "stop a"]);
});

test("sup_start_child_returns_error: the spec is discarded", async () => {
  const stage = new Stage();
  await using sup = await open(stage);
  stage.failing.add("child1");
  const reply = await sup.startChild(stage.spec("child1"));
  expect(reply).toMatchObject({ kind: "failed", error: { message: "child1 cannot start" } });
  expect(sup.whichChildren()).toEqual([]);
});

test("sup_start_restart_child_returns_error: the spec is kept, with no process", async () => {
  const stage = new Stage();
  await using sup = await open(stage, [stage.spec("child1")]);
  await sup.terminateChild("child1");
  stage.failing.add("child1");
  expect((await sup.restartChild("child1")).kind).toBe("failed");
  expect(sup.whichChildren()).toMatchObject([{ id: "child1", state: "stopped" }]);
});

test("sup_start_child_returns_error_simple: a dynamic child that cannot start is forgotten", async () => {
  const stage = new Stage();
  stage.failing.add("a");
  await using sup = await startDynamic({ id: "sup", template: (id: string) => stage.spec(id) });
  expect((await sup.startChild("a")).kind).toBe("failed");
  expect(sup.countChildren().specs).toBe(0);
});

test("sup_start_map: defaults are permanent, 5,000 ms, and infinity for a supervisor", async () => {
  const start = async () => "ignore" as const;
  await using sup = await startSupervisor({
    id: "sup",
    children: [
      { id: "child1", start },
      { id: "child2", start, shutdown: "brutal_kill" },
      { id: "child3", start, type: "supervisor" },
    ],
  });
  const defaults = { restart: "permanent", significant: false, type: "worker", shutdown: 5_000 };
  expect(sup.childSpec("child1")).toMatchObject({ id: "child1", ...defaults });
  expect(sup.childSpec("child2")).toMatchObject({ ...defaults, shutdown: "brutal_kill" });
  expect(sup.childSpec("child3")).toMatchObject({ ...defaults, type: "supervisor", shutdown: "infinity" });
  expect(sup.childSpec("child4")).toBeUndefined();
});

test("sup_start_map_faulty_specs: each fault is named, unknown keys are tolerated", async () => {
  const start = async () => "ignore" as const;
  const tryOut = (child: object, more: object = {}) =>
    startSupervisor({ id: "sup", children: [child as ChildSpec], ...more }).then(
      (sup) => sup[Symbol.asyncDispose](),
      (error) => String(error.message),
    );
  expect(await tryOut({ start })).toContain("missing_id");
  expect(await tryOut({ id: "a" })).toContain("missing_start");
  expect(await tryOut({ id: "a", start, silly_flag: true })).toBeUndefined();
  expect(await tryOut({ id: "a", start, restart: "always" })).toContain('invalid_restart_type "always"');
  expect(await tryOut({ id: "a", start, shutdown: -1 })).toContain("invalid_shutdown -1");
  expect(await tryOut({ id: "a", start, type: "thing" })).toContain("invalid_child_type");
  expect(await tryOut({ id: "a", start, significant: true })).toContain("bad_combination");
  const auto = { autoShutdown: "any_significant" };
  expect(await tryOut({ id: "a", start, significant: true, restart: "permanent" }, auto)).toContain(
    "bad_combination",
  );
  expect(await tryOut({ id: "a", start, significant: true, restart: "transient" }, auto)).toBeUndefined();
  const twice = startSupervisor({
    id: "sup",
    children: [
      { id: "a", start },
      { id: "a", start },
    ],
  });
  expect(twice).rejects.toThrow("duplicate_child_name");
  await twice.catch(() => {});
});

test("sup_flags: faulty flags are refused, each by name", async () => {
  const tryOut = (flags: object) => startSupervisor({ id: "sup", children: [], ...flags } as SupervisorSpec);
  expect(tryOut({ strategy: "none_for_one" })).rejects.toThrow("invalid_strategy");
  expect(tryOut({ intensity: { restarts: -1, periodMs: 5 } })).rejects.toThrow("invalid_intensity -1");
  expect(tryOut({ intensity: { restarts: 1, periodMs: 0 } })).rejects.toThrow("invalid_period 0");
  expect(tryOut({ autoShutdown: "often" })).rejects.toThrow("invalid_auto_shutdown");
});

test("sup_stop_infinity: a child with infinity is waited for as long as it takes", async () => {
  const stage = new Stage();
  const clock = new FakeClock();
  const children = [stage.spec("a", { shutdown: "infinity", manner: "deaf" })];
  const sup = await startSupervisor({ id: "sup", children }, { clock });
  sup.stop();
  await clock.advance(3_600_000);
  expect(stage.takeLog()).toEqual(["start a", "stop a"]);
  stage.puppet("a").end({ kind: "shutdown" });
  expect(await sup.exited).toEqual({ kind: "shutdown" });
});

test("sup_stop_timeout: a slow child is killed at its time, its sibling ends cleanly", async () => {
  const stage = new Stage();
  const clock = new FakeClock();
  const children = [
    stage.spec("child1", { shutdown: 1_000 }),
    stage.spec("child2", { shutdown: 1_000, manner: "deaf" }),
  ];
  const sup = await startSupervisor({ id: "sup", children }, { clock, onEvent: stage.onEvent });
  sup.stop();
  await clock.advance(999);
  expect(stage.takeLog()).toEqual(["start child1", "start child2", "stop child2"]);
  await clock.advance(1);
  await sup.exited;
  expect(stage.takeLog()).toEqual(["kill child2", "stop child1"]);
  expect(stage.events.filter(({ kind }) => kind === "child_exited")).toMatchObject([
    { id: "child2", exit: { kind: "crashed", reason: "killed" }, asked: true },
    { id: "child1", exit: { kind: "shutdown" }, asked: true },
  ]);
  expect(clock.waiting).toBe(0);
});

test("sup_stop_brutal_kill: such a child is not asked", async () => {
  const stage = new Stage();
  const sup = await open(stage, [stage.spec("child1"), stage.spec("child2", { shutdown: "brutal_kill" })]);
  sup.stop();
  await sup.exited;
  expect(stage.takeLog()).toEqual(["start child1", "start child2", "kill child2", "stop child1"]);
});

test("sup_stop_brutal_kill_dynamic: nor is a dynamic one", async () => {
  const stage = new Stage();
  const sup = await startDynamic({
    id: "sup",
    template: (id: string) => stage.spec(id),
    shutdownChildren: "brutal_kill",
  });
  await sup.startChild("a");
  sup.stop();
  await sup.exited;
  expect(stage.takeLog()).toEqual(["start a", "kill a"]);
});

test("sup_stop_race: children of every type that end for every reason during the stop do not disturb it", async () => {
  const exits = [
    { kind: "normal" },
    { kind: "shutdown" },
    { kind: "shutdown", detail: "term" },
    { kind: "crashed", reason: "abnormal" },
  ] as const;
  for (const restart of ["permanent", "transient", "temporary"] satisfies Restart[]) {
    for (const exit of exits) {
      const stage = new Stage();
      const ids = ["a", "b", "c", "d"];
      const sup = await open(
        stage,
        ids.map((id) => stage.spec(id, { restart, manner: "late" })),
      );
      sup.stop();
      for (const id of ids) stage.puppet(id).end(exit);
      expect(await sup.exited).toEqual({ kind: "shutdown" });
      expect(stage.takeLog().filter((line) => line.startsWith("start"))).toHaveLength(4);
    }
  }
});

test("child_adm: start, terminate, restart and delete answer as OTP's", async () => {
  const stage = new Stage();
  await using sup = await open(stage, [stage.spec("child1")]);
  const child = stage.puppet("child1");
  expect(await sup.startChild(stage.spec("child1"))).toEqual({ kind: "already_started", child });
  expect(await sup.restartChild("child1")).toEqual({ kind: "running" });
  expect(await sup.deleteChild("child1")).toEqual({ kind: "running" });

  expect(await sup.terminateChild("child1")).toEqual({ kind: "ok" });
  expect(await sup.terminateChild("child1")).toEqual({ kind: "ok" });
  expect(sup.whichChildren()).toEqual([{ id: "child1", type: "worker", state: "stopped", restarts: 0 }]);
  expect(sup.countChildren()).toEqual({ specs: 1, active: 0, supervisors: 0, workers: 1 });
  expect(await sup.startChild(stage.spec("child1"))).toEqual({ kind: "already_present" });

  expect((await sup.restartChild("child1")).kind).toBe("started");
  expect(stage.puppet("child1")).not.toBe(child);
  await sup.terminateChild("child1");
  expect(await sup.deleteChild("child1")).toEqual({ kind: "ok" });
  for (const method of ["terminateChild", "restartChild", "deleteChild"] as const) {
    expect(await sup[method]("child1")).toEqual({ kind: "not_found" });
  }
  expect((await sup.startChild(stage.spec("child1"))).kind).toBe("started");
  expect(sup.countChildren().active).toBe(1);
});

test("child_adm_simple: dynamic children are found by id, and gone when terminated", async () => {
  const stage = new Stage();
  await using sup = await startDynamic({ id: "sup", template: (id: string) => stage.spec(id) });
  await sup.startChild("a");
  expect((await sup.startChild("a")).kind).toBe("already_started");
  expect(await sup.terminateChild("a")).toEqual({ kind: "ok" });
  expect(await sup.terminateChild("a")).toEqual({ kind: "not_found" });
  expect(sup.countChildren().specs).toBe(0);
});

test("child_specs_map: a faulty spec is refused and changes nothing", async () => {
  const stage = new Stage();
  await using sup = await open(stage);
  const wrong = { ...stage.spec("a"), restart: "sometimes" } as unknown as ChildSpec;
  expect(sup.startChild(wrong)).rejects.toThrow("invalid_restart_type");
  const significant = stage.spec("a", { significant: true, restart: "temporary" });
  expect(sup.startChild(significant)).rejects.toThrow("bad_combination");
  await settle();
  expect(sup.whichChildren()).toEqual([]);
});

test("a supervisor that has stopped refuses calls", async () => {
  const sup = await open(new Stage());
  await sup[Symbol.asyncDispose]();
  expect(sup.terminateChild("a")).rejects.toThrow("supervisor sup is stopped");
});

test("a start that is called off stops what was started and throws", async () => {
  const stage = new Stage();
  stage.hanging.add("b");
  const off = new AbortController();
  const starting = startSupervisor(
    { id: "sup", children: [stage.spec("a"), stage.spec("b")] },
    { signal: off.signal },
  );
  await until(() => stage.log.includes("hang b"), "b hangs");
  off.abort(new Error("enough"));
  expect(starting).rejects.toThrow("failed_to_start_child b");
  await starting.catch(() => {});
  expect(stage.takeLog()).toEqual(["start a", "hang b", "stop a"]);
});
