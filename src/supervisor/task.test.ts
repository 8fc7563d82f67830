import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { settle, until } from "./puppet.ts";
import { startSupervisor, type Task, type TaskOptions, taskChild } from "./supervisor.ts";

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

function open(...tasks: readonly TaskOptions[]) {
  const intensity = { restarts: 5, periodMs: 1_000 };
  return startSupervisor({ id: "sup", intensity, children: tasks.map(taskChild) });
}

test("a task that throws is restarted, one that is transient and returns is not", async () => {
  let runs = 0;
  const task = async () => {
    if (++runs < 3) throw new Error("boom");
  };
  await using sup = await open({ id: "a", restart: "transient", run: task });
  await until(() => sup.whichChildren()[0]?.state === "stopped", "it has returned");
  expect(runs).toBe(3);
});

test("a task that obeys its signal ends in order, whether it returns or throws the signal's reason", async () => {
  for (const run of [
    (task: Task) => untilAborted(task.signal),
    (task: Task) => untilAborted(task.signal).catch(() => {}),
  ]) {
    const sup = await open({ id: "a", run });
    const child = sup.whichChildren()[0]?.child;
    sup.stop();
    expect(await child?.exited).toEqual({ kind: "shutdown" });
    await sup.exited;
  }
});

test("a task that fails at its clean-up crashed, and the stop goes on", async () => {
  const run = (task: Task) =>
    untilAborted(task.signal).catch(() => Promise.reject(new Error("cannot flush")));
  const sup = await open({ id: "a", run });
  const child = sup.whichChildren()[0]?.child;
  sup.stop();
  expect(await child?.exited).toMatchObject({ kind: "crashed", reason: "cannot flush" });
  expect(await sup.exited).toEqual({ kind: "shutdown" });
});

test("a task that does not hear is abandoned when its time is over", async () => {
  const clock = new FakeClock();
  const deaf = taskChild({ id: "a", shutdown: 1_000, run: () => new Promise(() => {}) });
  const sup = await startSupervisor({ id: "sup", children: [deaf] }, { clock });
  const child = sup.whichChildren()[0]?.child;
  sup.stop();
  await clock.advance(1_000);
  expect(await child?.exited).toEqual({ kind: "crashed", reason: "killed" });
  await sup.exited;
});

test("the next child waits for one that tells when it is ready", async () => {
  const order: string[] = [];
  let tell = () => {};
  const first: TaskOptions = {
    id: "first",
    readiness: "when_told",
    run: (task) => {
      tell = () => {
        order.push("first is ready");
        task.ready();
      };
      return untilAborted(task.signal);
    },
  };
  const second: TaskOptions = {
    id: "second",
    run: (task) => {
      order.push("second starts");
      return untilAborted(task.signal);
    },
  };
  const starting = open(first, second);
  await settle();
  tell();
  await using _sup = await starting;
  expect(order).toEqual(["first is ready", "second starts"]);
});

test("a task that ends before it is ready failed to start", async () => {
  const run = async () => {
    throw new Error("no port");
  };
  const starting = open({ id: "a", readiness: "when_told", run });
  expect(starting).rejects.toThrow("failed_to_start_child a: no port");
  await starting.catch(() => {});
});
