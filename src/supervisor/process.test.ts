import { expect, test } from "bun:test";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { type Identity, identify, isAlive, readEnviron, readStat, readUid, signal } from "../os/proc.ts";
import { systemClock } from "../std/clock.ts";
import type { Child, Exit } from "./child.ts";
import type { SupervisorEvent } from "./event.ts";
import { openProcesses, type ProcessOptions } from "./process.ts";
import { until } from "./puppet.ts";
import { toStatePath } from "./state.ts";
import { stopChild } from "./stop.ts";
import { startSupervisor } from "./supervisor.ts";
import { Yard } from "./yard.ts";

const never = new AbortController().signal;
const clock = systemClock;

/** Starts one process outside any supervisor. */
async function start(yard: Yard, options: ProcessOptions, events: SupervisorEvent[] = [], signal = never) {
  const processes = openProcesses({ stateDir: yard.stateDir, clock, onEvent: (event) => events.push(event) });
  const child = await processes.child(options).start(signal);
  if (child === "ignore" || child.identity === undefined) throw new Error("no process");
  return child as Child & { readonly identity: Identity };
}

test("a process leads its own session, carries its marks, and appends to its files", async () => {
  await using yard = new Yard();
  writeFileSync(yard.path("out"), "before\n");
  const options = yard.shell("a", "echo out; echo err >&2; sleep 1000", {
    stdout: yard.path("out"),
    stderr: yard.path("err"),
  });
  const child = await start(yard, options);
  const { pid } = child.identity;
  expect(readStat(pid)?.pgid).toBe(pid);
  await until(() => existsSync(yard.path("err")) && yard.read("err") !== "", "it writes");
  expect(yard.read("out")).toBe("before\nout\n");
  expect(readEnviron(pid)).toMatchObject({ PATH: "/usr/bin:/bin" });
  expect(Object.keys(readEnviron(pid)).filter((key) => key.startsWith("NINES_CHILD"))).toHaveLength(2);
  expect(await stopChild(child, 30_000, clock)).toEqual({ kind: "shutdown" });
  expect(existsSync(toStatePath(yard.stateDir, "a"))).toBe(false);
});

test("the end says how: 0 is normal, a code and a signal are crashes", async () => {
  await using yard = new Yard();
  const end = async (line: string): Promise<Exit> => (await start(yard, yard.shell("a", line))).exited;
  expect(await end("exit 0")).toEqual({ kind: "normal" });
  expect(await end("exit 3")).toEqual({ kind: "crashed", reason: "exit code 3", code: 3 });
  expect(await end("kill -9 $$")).toEqual({ kind: "crashed", reason: "signal SIGKILL", signal: "SIGKILL" });
});

test("a supervisor restarts a killed process", async () => {
  await using yard = new Yard();
  const processes = openProcesses({ stateDir: yard.stateDir, clock });
  await using sup = await startSupervisor({
    id: "sup",
    children: [processes.child(yard.shell("a", "sleep 1000"))],
  });
  const first = sup.whichChildren()[0]?.child?.identity;
  if (first) signal(first, "SIGKILL", true);
  await until(() => sup.whichChildren()[0]?.restarts === 1, "it is restarted");
  const second = sup.whichChildren()[0]?.child;
  expect(second?.identity?.pid).not.toBe(first?.pid);
  expect(second?.restarts).toBe(1);
});

test("a process that ignores SIGTERM is killed when its time is over, and its exit says so", async () => {
  await using yard = new Yard();
  const child = await start(
    yard,
    yard.shell("a", "trap '' TERM; echo ready; while :; do sleep 1; done", { stdout: yard.path("out") }),
  );
  await until(() => yard.read("out") !== "", "the trap is set");
  expect(await stopChild(child, 50, clock)).toMatchObject({ kind: "crashed", reason: "killed" });
  expect(isAlive(child.identity)).toBe(false);
});

test("a stopped process (SIGSTOP) still ends in order", async () => {
  await using yard = new Yard();
  const child = await start(yard, yard.shell("a", "exec sleep 1000"));
  signal(child.identity, "SIGSTOP");
  await until(() => readStat(child.identity.pid)?.state === "T", "it is stopped");
  expect(await stopChild(child, 30_000, clock)).toEqual({ kind: "shutdown" });
});

/** Starts a shell with a child of its own, and gives the child's identity. */
async function startFamily(
  yard: Yard,
  more: Partial<ProcessOptions>,
  prefix = "",
  events: SupervisorEvent[] = [],
) {
  const line = `${prefix} sh -c 'echo $$ > inner; ${"sleep 1000; true"}' & sleep 1000; true`;
  const outer = await start(yard, yard.shell("a", line, more), events);
  await until(
    () => existsSync(yard.path("inner")) && yard.read("inner").endsWith("\n"),
    "the inner shell runs",
  );
  const inner = identify(Number(yard.read("inner")));
  if (inner === undefined) throw new Error("no inner shell");
  return { outer, inner };
}

test("what a crashed process leaves in its group is killed with it", async () => {
  await using yard = new Yard();
  const events: SupervisorEvent[] = [];
  const { outer, inner } = await startFamily(yard, {}, "", events);
  signal(outer.identity, "SIGKILL");
  await outer.exited;
  expect(isAlive(inner)).toBe(false);
  expect(events).toMatchObject([{ kind: "leftovers_killed", id: "a" }]);
});

test("a stop asks the whole group, and gives it the same time as its leader", async () => {
  await using yard = new Yard();
  const line =
    "sh -c 'trap \"sleep 0.2; echo done > done; exit\" TERM; echo up > inner; while :; do sleep 0.05; done' & exec sleep 1000";
  const events: SupervisorEvent[] = [];
  const child = await start(yard, yard.shell("a", line), events);
  await until(() => existsSync(yard.path("inner")), "the inner shell runs");
  expect(await stopChild(child, 30_000, clock)).toEqual({ kind: "shutdown" });
  expect(yard.read("done")).toBe("done\n");
  expect(events).toEqual([]);
});

test("a daemon that left the group outlives the process, unless the sweep goes by the marker", async () => {
  await using yard = new Yard();
  const kept = await startFamily(yard, {}, "setsid");
  await stopChild(kept.outer, 30_000, clock);
  expect(isAlive(kept.inner)).toBe(true);

  await using other = new Yard();
  const swept = await startFamily(other, { sweep: "marked" }, "setsid");
  await stopChild(swept.outer, 30_000, clock);
  expect(isAlive(swept.inner)).toBe(false);
});

test("a start is over when the process is ready, and the process is killed when that takes too long", async () => {
  await using yard = new Yard();
  let seen: Identity | undefined;
  const ready = async (identity: Identity, signal: AbortSignal) => {
    seen = identity;
    await clock.sleep(60_000, signal);
  };
  const starting = start(yard, yard.shell("a", "sleep 1000", { ready, startTimeoutMs: 50 }));
  expect(starting).rejects.toThrow("a was not ready within 50 ms, its start timeout");
  await starting.catch(() => {});
  expect(seen && isAlive(seen)).toBe(false);
});

test("a process that ends before it is ready failed to start, and the error says how it ended", async () => {
  await using yard = new Yard();
  const ready = (_: Identity, signal: AbortSignal) => clock.sleep(60_000, signal);
  const starting = start(yard, yard.shell("a", "exit 7", { ready }));
  expect(starting).rejects.toThrow("a ended before it was ready: exit code 7");
  await starting.catch(() => {});
});

test("a start that is called off leaves no process", async () => {
  await using yard = new Yard();
  const off = new AbortController();
  let seen: Identity | undefined;
  const ready = async (identity: Identity, signal: AbortSignal) => {
    seen = identity;
    off.abort(new Error("enough"));
    await clock.sleep(60_000, signal);
  };
  const starting = start(yard, yard.shell("a", "sleep 1000", { ready }), [], off.signal);
  expect(starting).rejects.toThrow("enough");
  await starting.catch(() => {});
  expect(seen && isAlive(seen)).toBe(false);
});

test("a command that cannot be run says what is wrong, and leaves no state", async () => {
  await using yard = new Yard();
  const base = { id: "a", env: { PATH: "/usr/bin:/bin" } };
  const failures: [ProcessOptions, string][] = [
    [{ ...base, command: "/nowhere/x" }, "cannot start a: no such command: /nowhere/x"],
    [{ ...base, command: "surely-not-there" }, "cannot start a: no such command: surely-not-there"],
    [
      { ...base, command: "/bin/true", cwd: "/nowhere" },
      "cannot start a: its folder /nowhere does not exist",
    ],
    [{ ...base, command: yard.path("file") }, "may not be executed"],
    [{ ...base, command: "/bin/true", stdout: "/nowhere/log" }, "/nowhere/log"],
  ];
  writeFileSync(yard.path("file"), "text");
  chmodSync(yard.path("file"), 0o600);
  for (const [options, message] of failures) {
    const starting = start(yard, options);
    expect(starting).rejects.toThrow(message);
    await starting.catch(() => {});
    expect(existsSync(toStatePath(yard.stateDir, "a"))).toBe(false);
  }
});

test.skipIf(process.getuid?.() !== 0)(
  "a process runs as the user it was given, with none of our groups",
  async () => {
    await using yard = new Yard();
    const child = await start(yard, {
      ...yard.shell("a", "id; exec sleep 1000"),
      cwd: "/",
      uid: 65_534,
      gid: 65_534,
      stdout: yard.path("out"),
    });
    await until(() => yard.read("out") !== "", "it writes");
    expect(yard.read("out")).toMatch(/^uid=65534\S* gid=65534\S* groups=65534\S*\n$/);
    expect(readUid(child.identity.pid)).toBe(65_534);
  },
);

test("a state folder that cannot be written keeps no process from being started", async () => {
  await using yard = new Yard();
  writeFileSync(yard.stateDir, "a file where a folder should be");
  const events: SupervisorEvent[] = [];
  const child = await start(yard, yard.shell("a", "sleep 1000"), events);
  expect(isAlive(child.identity)).toBe(true);
  expect(events).toContainEqual(expect.objectContaining({ kind: "state_unwritable", id: "a" }));
  await stopChild(child, 30_000, clock);
});

test("a process that no longer beats is killed and restarted", async () => {
  await using yard = new Yard();
  const beat = { path: yard.path("beat"), timeoutMs: 3_000 };
  const events: SupervisorEvent[] = [];
  const onEvent = (event: SupervisorEvent) => events.push(event);
  const processes = openProcesses({ stateDir: yard.stateDir, clock, onEvent });
  const options = yard.shell("a", "while :; do touch beat; sleep 0.1; done", { beat });
  await using sup = await startSupervisor({ id: "sup", children: [processes.child(options)] }, { onEvent });
  const first = sup.whichChildren()[0]?.child?.identity;
  await clock.sleep(3_500);
  expect(sup.whichChildren()[0]?.restarts).toBe(0);
  if (first) signal(first, "SIGSTOP", true);
  await until(() => sup.whichChildren()[0]?.restarts === 1, "it is restarted");
  expect(events).toContainEqual(expect.objectContaining({ kind: "hung", id: "a", pid: first?.pid }));
  const exits = events.filter((event) => event.kind === "child_exited");
  expect(exits).toMatchObject([
    { id: "a", exit: { kind: "crashed", reason: expect.stringContaining("hung") } },
  ]);
});

test("a process that never beats is given its time from when it was ready", async () => {
  await using yard = new Yard();
  const events: SupervisorEvent[] = [];
  const beat = { path: yard.path("beat"), timeoutMs: 300 };
  const child = await start(yard, yard.shell("a", "exec sleep 1000", { beat }), events);
  expect(await child.exited).toMatchObject({ kind: "crashed", reason: expect.stringContaining("hung") });
});
