/** The ledger of OTP's supervisor_SUITE: restart types, intensity, and the strategies. */
import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { Stage, settle, until } from "./puppet.ts";
import { type Exit, type Restart, type Strategy, startDynamic, startSupervisor } from "./supervisor.ts";

const normal: Exit = { kind: "normal" };
const shutdown: Exit = { kind: "shutdown" };
const shutdownTerm: Exit = { kind: "shutdown", detail: "term" };
const abnormal: Exit = { kind: "crashed", reason: "abnormal" };

async function open(stage: Stage, ids: readonly string[], strategy: Strategy = "one_for_one", restarts = 2) {
  return startSupervisor(
    {
      id: "sup",
      strategy,
      intensity: { restarts, periodMs: 3_600_000 },
      children: ids.map((id) => stage.spec(id)),
    },
    { onEvent: stage.onEvent },
  );
}

/** What a child of that type is after that end: running again, stopped, or forgotten. */
async function after(restart: Restart, exit: Exit): Promise<string> {
  const stage = new Stage();
  await using sup = await startSupervisor({ id: "sup", children: [stage.spec("a", { restart })] });
  stage.puppet("a").end(exit);
  await settle();
  const [row] = sup.whichChildren();
  if (row === undefined) return "forgotten";
  return row.restarts > 0 ? "restarted" : row.state;
}

test("permanent_normal", async () => expect(await after("permanent", normal)).toBe("restarted"));
test("transient_normal", async () => expect(await after("transient", normal)).toBe("stopped"));
test("temporary_normal", async () => expect(await after("temporary", normal)).toBe("forgotten"));
test("permanent_shutdown", async () => {
  expect(await after("permanent", shutdown)).toBe("restarted");
  expect(await after("permanent", shutdownTerm)).toBe("restarted");
});
test("transient_shutdown", async () => {
  expect(await after("transient", shutdown)).toBe("stopped");
  expect(await after("transient", shutdownTerm)).toBe("stopped");
});
test("temporary_shutdown", async () => expect(await after("temporary", shutdown)).toBe("forgotten"));
test("permanent_abnormal", async () => expect(await after("permanent", abnormal)).toBe("restarted"));
test("transient_abnormal", async () => expect(await after("transient", abnormal)).toBe("restarted"));
test("temporary_abnormal", async () => expect(await after("temporary", abnormal)).toBe("forgotten"));

test("temporary_bystander: a temporary sibling is stopped by a group restart and not started again", async () => {
  for (const strategy of ["one_for_all", "rest_for_one"] as const) {
    const stage = new Stage();
    await using sup = await startSupervisor({
      id: "sup",
      strategy,
      children: [stage.spec("child1"), stage.spec("child2", { restart: "temporary" })],
    });
    stage.takeLog();
    stage.puppet("child1").crash();
    await settle();
    expect(stage.takeLog()).toEqual(["stop child2", "start child1"]);
    expect(sup.whichChildren()).toMatchObject([{ id: "child1", state: "running" }]);
  }
});

test("multiple_restarts: one restart in 1 s survives four crashes 2.1 s apart", async () => {
  const stage = new Stage();
  const clock = new FakeClock();
  const intensity = { restarts: 1, periodMs: 1_000 };
  await using sup = await startSupervisor({ id: "sup", intensity, children: [stage.spec("a")] }, { clock });
  for (let crash = 0; crash < 4; crash++) {
    stage.puppet("a").crash();
    await clock.advance(2_100);
  }
  expect(sup.whichChildren()).toMatchObject([{ id: "a", state: "running", restarts: 4 }]);
});

test("one_for_one: only the crashed child is restarted; intensity 2 allows two, the third ends the supervisor", async () => {
  const stage = new Stage();
  const sup = await open(stage, ["child1", "child2"]);
  const bystander = stage.puppet("child2");
  for (let crash = 0; crash < 2; crash++) {
    stage.takeLog();
    stage.puppet("child1").crash();
    await settle();
    expect(stage.takeLog()).toEqual(["start child1"]);
    expect(stage.puppet("child2")).toBe(bystander);
  }
  stage.puppet("child1").crash();
  expect(await sup.exited).toEqual({ kind: "shutdown", detail: "gave_up" });
  expect(stage.takeLog()).toEqual(["stop child2"]);
  expect(stage.events).toContainEqual({
    kind: "gave_up",
    supervisor: "sup",
    id: "child1",
    restarts: 2,
    periodMs: 3_600_000,
  });
});

test("intensity 0: the first crash ends the supervisor", async () => {
  const stage = new Stage();
  const sup = await open(stage, ["a"], "one_for_one", 0);
  stage.puppet("a").crash();
  expect(await sup.exited).toMatchObject({ kind: "shutdown" });
});

async function expectEscalation(strategy: Strategy): Promise<void> {
  const stage = new Stage();
  const sup = await open(stage, ["child1", "child2"], strategy, 4);
  stage.takeLog();
  stage.failing.add("child1");
  stage.puppet("child1").crash();
  expect(await sup.exited).toMatchObject({ kind: "shutdown" });
  const log = stage.takeLog();
  // Every failed try counts: four of them, and the fifth is not made.
  expect(log.filter((line) => line === "fail child1")).toHaveLength(4);
  expect(log.filter((line) => line === "stop child2")).toHaveLength(1);
}

test("one_for_one_escalation", () => expectEscalation("one_for_one"));
test("one_for_all_escalation", () => expectEscalation("one_for_all"));
test("rest_for_one_escalation", () => expectEscalation("rest_for_one"));

test("one_for_all: no old process survives, and the third crash ends the supervisor", async () => {
  const stage = new Stage();
  const sup = await open(stage, ["a", "b", "c"], "one_for_all");
  const before = ["a", "b", "c"].map((id) => stage.puppet(id));
  stage.takeLog();
  stage.puppet("b").crash();
  await settle();
  expect(stage.takeLog()).toEqual(["stop c", "stop a", "start a", "start b", "start c"]);
  for (const old of before) expect(stage.puppet(old.id)).not.toBe(old);
  for (let crash = 0; crash < 2; crash++) {
    stage.puppet("a").crash();
    await settle();
  }
  expect(await sup.exited).toMatchObject({ kind: "shutdown", detail: "gave_up" });
});

test("one_for_all_other_child_fails_restart: what was restarted already is stopped again", async () => {
  const stage = new Stage();
  await using sup = await open(stage, ["child1", "child2"], "one_for_all", 3);
  stage.takeLog();
  stage.failingOnce.add("child2");
  stage.puppet("child1").crash();
  await until(() => stage.log.includes("start child2"), "child2 is started after all");
  expect(stage.takeLog()).toEqual([
    "stop child2",
    "start child1",
    "fail child2",
    "stop child1",
    "start child1",
    "start child2",
  ]);
  expect(sup.countChildren().active).toBe(2);
});

test("simple_one_for_one: a dynamic child is restarted alone; the third crash ends the supervisor", async () => {
  const stage = new Stage();
  const template = (id: string) => stage.spec(id);
  const intensity = { restarts: 2, periodMs: 3_600_000 };
  const sup = await startDynamic({ id: "sup", intensity, template });
  await sup.startChild("a");
  await sup.startChild("b");
  stage.takeLog();
  stage.puppet("a").crash();
  await settle();
  expect(stage.takeLog()).toEqual(["start a"]);
  for (let crash = 0; crash < 2; crash++) {
    stage.puppet("a").crash();
    await settle();
  }
  expect(await sup.exited).toMatchObject({ kind: "shutdown" });
  expect(stage.takeLog()).toContain("stop b");
});

test("simple_one_for_one_extra: the template gets what startChild was given", async () => {
  const stage = new Stage();
  const sup = await startDynamic({
    id: "sup",
    template: (extra: { n: number }) => stage.spec(`child${extra.n}`),
  });
  for (const n of [1, 2]) await sup.startChild({ n });
  expect(sup.whichChildren().map(({ id }) => id)).toEqual(["child2", "child1"]);
  await sup[Symbol.asyncDispose]();
});

test("simple_one_for_one_shutdown: all are stopped at once, under one timer", async () => {
  const stage = new Stage();
  const clock = new FakeClock();
  const template = (id: string) => stage.spec(id, { manner: "deaf" });
  const sup = await startDynamic({ id: "sup", template, shutdownChildren: 1_000 }, { clock });
  for (const id of ["a", "b", "c", "d", "e"]) await sup.startChild(id);
  stage.takeLog();
  sup.stop();
  await clock.advance(999);
  expect(stage.takeLog()).toEqual(["stop a", "stop b", "stop c", "stop d", "stop e"].reverse());
  await clock.advance(1);
  await sup.exited;
  expect(stage.takeLog()).toHaveLength(5);
  expect(clock.waiting).toBe(0);
});

test("simple_one_for_one_escalation: a dynamic child that can never restart ends the supervisor", async () => {
  const stage = new Stage();
  const intensity = { restarts: 4, periodMs: 3_600_000 };
  const sup = await startDynamic({ id: "sup", intensity, template: (id: string) => stage.spec(id) });
  await sup.startChild("a");
  await sup.startChild("b");
  stage.failing.add("a");
  stage.puppet("a").crash();
  expect(await sup.exited).toMatchObject({ kind: "shutdown" });
});

test("rest_for_one: later children go with it, earlier ones stay; the third crash ends the supervisor", async () => {
  const stage = new Stage();
  const sup = await open(stage, ["a", "b", "c"], "rest_for_one");
  const first = stage.puppet("a");
  stage.takeLog();
  stage.puppet("b").crash();
  await settle();
  expect(stage.takeLog()).toEqual(["stop c", "start b", "start c"]);
  expect(stage.puppet("a")).toBe(first);
  for (let crash = 0; crash < 2; crash++) {
    stage.puppet("b").crash();
    await settle();
  }
  expect(await sup.exited).toMatchObject({ kind: "shutdown" });
});

test("rest_for_one_other_child_fails_restart: the tries begin at the one that failed, the first is not restarted again", async () => {
  const stage = new Stage();
  await using sup = await open(stage, ["child1", "child2"], "rest_for_one", 3);
  stage.takeLog();
  stage.failingOnce.add("child2");
  stage.puppet("child1").crash();
  await until(() => stage.log.includes("start child2"), "child2 is started after all");
  expect(stage.takeLog()).toEqual(["stop child2", "start child1", "fail child2", "start child2"]);
  expect(sup.countChildren().active).toBe(2);
});

test("a start that waits for a sibling is given up when that sibling dies", async () => {
  const stage = new Stage();
  await using sup = await open(stage, ["a", "b"], "rest_for_one", 5);
  stage.hanging.add("b");
  stage.puppet("b").crash();
  await until(() => stage.log.includes("hang b"), "b waits for something that a should do");
  stage.hanging.clear();
  stage.puppet("a").crash();
  await until(() => sup.countChildren().active === 2, "both run again");
  await settle();
  expect(stage.takeLog().slice(-3)).toEqual(["hang b", "start a", "start b"]);
});

test("with one_for_one a start that hangs keeps nobody else from being restarted", async () => {
  const stage = new Stage();
  await using sup = await open(stage, ["a", "b"], "one_for_one", 5);
  stage.hanging.add("a");
  stage.puppet("a").crash();
  await until(() => stage.log.includes("hang a"), "a hangs");
  stage.puppet("b").crash();
  await settle();
  expect(sup.whichChildren()).toMatchObject([
    { id: "b", state: "running", restarts: 1 },
    { id: "a", state: "restarting" },
  ]);
});
