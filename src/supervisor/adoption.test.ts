import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Identity, isAlive, readBootId, readStat, signal } from "../os/proc.ts";
import { systemClock } from "../std/clock.ts";
import { chooseAdoption, type Sight } from "./adoption.ts";
import { type Marked, takeCensus, toMarks } from "./census.ts";
import type { Child } from "./child.ts";
import type { SupervisorEvent } from "./event.ts";
import { openProcesses, type ProcessOptions } from "./process.ts";
import { until } from "./puppet.ts";
import { createMarker, toStatePath } from "./state.ts";
import { startSupervisor } from "./supervisor.ts";
import { Yard } from "./yard.ts";

const clock = systemClock;
const ids = ["a", "b", "c"];
const sleeper = (yard: Yard, id: string, more: Partial<ProcessOptions> = {}) =>
  yard.shell(id, "exec sleep 1000", more);

/** A supervisor in this process, over the yard's state. */
async function succeed(yard: Yard, children: readonly ProcessOptions[], events: SupervisorEvent[] = []) {
  const onEvent = (event: SupervisorEvent) => events.push(event);
  const processes = openProcesses({ stateDir: yard.stateDir, clock, onEvent });
  const specs = children.map((options) => processes.child(options));
  const sup = await startSupervisor(
    { id: "sup", intensity: { restarts: 100, periodMs: 1_000 }, children: specs },
    { onEvent },
  );
  return Object.assign(sup, { processes });
}

function identities(rows: readonly { id: string; child?: Child }[]): Record<string, Identity | undefined> {
  return Object.fromEntries(rows.map(({ id, child }) => [id, child?.identity]));
}

/** Processes of the yard's children, by id. */
function living(yard: Yard): Record<string, Identity[]> {
  const found: Record<string, Identity[]> = {};
  for (const { id, identity } of takeCensus(yard.stateDir)) (found[id] ??= []).push(identity);
  return found;
}

/** Runs the children under a supervisor that is then killed, and gives who lives on. */
async function bereave(yard: Yard, children: readonly ProcessOptions[]): Promise<Record<string, Identity[]>> {
  const rehearsal = yard.rehearse(children);
  await rehearsal.ready;
  signal(rehearsal.identity, "SIGKILL");
  await rehearsal.exited;
  return living(yard);
}

function one(found: Record<string, Identity[]>, id: string): Identity {
  const [identity, ...rest] = found[id] ?? [];
  if (identity === undefined || rest.length > 0) throw new Error(`${id}: ${JSON.stringify(found[id])}`);
  return identity;
}

test("the children of a killed supervisor live on, and its successor takes over the very same processes", async () => {
  await using yard = new Yard();
  const children = ids.map((id) => sleeper(yard, id));
  const before = await bereave(yard, children);
  const events: SupervisorEvent[] = [];
  await using sup = await succeed(yard, children, events);
  expect(identities(sup.whichChildren())).toEqual(Object.fromEntries(ids.map((id) => [id, one(before, id)])));
  expect(sup.whichChildren().map(({ restarts, child }) => [restarts, child?.adopted])).toEqual(
    ids.map(() => [0, true]),
  );
  expect(events.filter(({ kind }) => kind === "adopted")).toHaveLength(3);
  expect(events.filter(({ kind }) => kind === "restarting" || kind === "child_exited")).toEqual([]);
  expect(living(yard)).toEqual(before);
});

test("two generations on, the same", async () => {
  await using yard = new Yard();
  const children = ids.map((id) => sleeper(yard, id));
  const before = await bereave(yard, children);
  expect(await bereave(yard, children)).toEqual(before);
  expect(await bereave(yard, children)).toEqual(before);
});

test("the end of an adopted process is noticed, it is restarted, and the count goes on over a death of the supervisor", async () => {
  await using yard = new Yard();
  const children = [sleeper(yard, "a")];
  const before = one(await bereave(yard, children), "a");
  const rehearsal = yard.rehearse(children);
  await rehearsal.ready;
  signal(before, "SIGKILL");
  const starts = () => rehearsal.events.filter((event) => event.kind === "child_started");
  await until(() => starts().length === 2, "it is restarted");
  expect(starts()).toMatchObject([{ adopted: true, pid: before.pid }, { adopted: false }]);
  signal(rehearsal.identity, "SIGKILL");
  await rehearsal.exited;
  await using successor = await succeed(yard, children);
  expect(successor.whichChildren()[0]).toMatchObject({ restarts: 1, child: { adopted: true } });
});

test("an adopted process is stopped in order", async () => {
  await using yard = new Yard();
  const children = [
    yard.shell("a", "trap 'echo bye > bye; exit 0' TERM; echo up > up; while :; do sleep 0.02; done"),
  ];
  await bereave(yard, children);
  await until(() => existsSync(yard.path("up")), "the trap is set");
  const events: SupervisorEvent[] = [];
  const sup = await succeed(yard, children, events);
  expect(sup.whichChildren()[0]?.child?.adopted).toBe(true);
  await sup[Symbol.asyncDispose]();
  expect(living(yard)).toEqual({});
  expect(yard.read("bye")).toBe("bye\n");
  expect(events.find(({ kind }) => kind === "child_exited")).toMatchObject({
    exit: { kind: "shutdown" },
    asked: true,
  });
});

test("a process whose spec has changed is stopped in order and started anew", async () => {
  await using yard = new Yard();
  const before = one(await bereave(yard, [sleeper(yard, "a")]), "a");
  const events: SupervisorEvent[] = [];
  const changed = sleeper(yard, "a", { env: { PATH: "/usr/bin:/bin", COLOR: "blue" } });
  await using sup = await succeed(yard, [changed], events);
  expect(isAlive(before)).toBe(false);
  expect(sup.whichChildren()[0]?.child?.adopted).toBe(false);
  expect(events).toContainEqual({ kind: "replaced", id: "a", pid: before.pid, why: "spec_changed" });
});

test("a state file that is cut off, empty, garbage, of another shape or missing costs no process: it is found by its environment", async () => {
  await using yard = new Yard();
  const children = [sleeper(yard, "a")];
  const before = one(await bereave(yard, children), "a");
  const whole = readFileSync(toStatePath(yard.stateDir, "a"), "utf8");
  for (const content of [
    whole.slice(0, whole.length / 2),
    "",
    "\0\0\0\0",
    "[1,2]",
    '{"phase":"spawned"}',
    '{"phase":"x"}',
  ]) {
    yard.writeState("a", content);
    expect(one(await bereave(yard, children), "a")).toEqual(before);
    // It was written anew.
    expect(JSON.parse(readFileSync(toStatePath(yard.stateDir, "a"), "utf8")).identity).toEqual(before);
  }
});

test("a supervisor that was killed between the start and the second write leaves a marker to find the process by", async () => {
  await using yard = new Yard();
  const children = [sleeper(yard, "a")];
  const before = one(await bereave(yard, children), "a");
  const { marker, restarts } = JSON.parse(readFileSync(toStatePath(yard.stateDir, "a"), "utf8"));
  yard.writeState("a", JSON.stringify({ phase: "spawning", marker, restarts }));
  const events: SupervisorEvent[] = [];
  await using sup = await succeed(yard, children, events);
  expect(sup.whichChildren()[0]?.child?.identity).toEqual(before);
  expect(events).toContainEqual({ kind: "adopted", id: "a", pid: before.pid, by: "marker" });
});

test("of two living processes for one id the oldest stays and the other goes", async () => {
  await using yard = new Yard();
  const children = [sleeper(yard, "a")];
  const before = one(await bereave(yard, children), "a");
  const state = JSON.parse(readFileSync(toStatePath(yard.stateDir, "a"), "utf8"));
  const specHash = state.marker.split(".")[0];
  await clock.sleep(20);
  const second = yard.start("/bin/sleep", ["1000"], toMarks(yard.stateDir, "a", createMarker(specHash)));
  yard.writeState("a", "");
  await using sup = await succeed(yard, children);
  expect(sup.whichChildren()[0]?.child?.identity).toEqual(before);
  expect(isAlive(second)).toBe(false);
});

test("a pid that belongs to a stranger now is never signalled", async () => {
  await using yard = new Yard();
  const children = [sleeper(yard, "a")];
  const before = one(await bereave(yard, children), "a");
  const stranger = yard.start("/bin/sleep", ["1000"]);
  const state = JSON.parse(readFileSync(toStatePath(yard.stateDir, "a"), "utf8"));
  signal(before, "SIGKILL");
  await until(() => !isAlive(before), "the child is dead");
  const events: SupervisorEvent[] = [];
  const wrongTime = { pid: stranger.pid, startTime: stranger.startTime - 1 };
  yard.writeState("a", JSON.stringify({ ...state, identity: wrongTime }));
  {
    await using sup = await succeed(yard, children, events);
    expect(sup.whichChildren()[0]?.child?.identity?.pid).not.toBe(stranger.pid);
  }
  // Same pid, same start time, but of another boot.
  yard.writeState("a", JSON.stringify({ ...state, identity: stranger, bootId: "another boot" }));
  {
    await using sup = await succeed(yard, children, events);
    expect(sup.whichChildren()[0]?.child?.identity?.pid).not.toBe(stranger.pid);
  }
  expect(events.filter(({ kind }) => kind === "stranger_spared")).toHaveLength(2);
  expect(isAlive(stranger)).toBe(true);
});

test("phantoms, alive and in nobody's spec, are found and stopped, also without a state file; others are left alone", async () => {
  await using yard = new Yard();
  const before = await bereave(
    yard,
    ids.map((id) => sleeper(yard, id)),
  );
  const bystander = yard.start("/bin/sleep", ["1000"], toMarks(yard.path("another folder"), "b", "x.y"));
  writeFileSync(toStatePath(yard.stateDir, "c"), "");
  const rehearsal = yard.rehearse([sleeper(yard, "a")]);
  await rehearsal.ready;
  expect(living(yard)).toEqual({ a: [one(before, "a")] });
  const stopped = rehearsal.events.filter((event) => event.kind === "phantom_stopped");
  expect(stopped.map(({ id }) => id).toSorted()).toEqual(["b", "c"]);
  expect(isAlive(bystander)).toBe(true);
  expect(existsSync(toStatePath(yard.stateDir, "b"))).toBe(false);
});

test("a zombie is dead: the end of an adopted process counts though nobody reaps it", async () => {
  await using yard = new Yard();
  const children = [sleeper(yard, "a")];
  const rehearsal = yard.rehearse(children);
  await rehearsal.ready;
  // The parent cannot reap while it is stopped.
  signal(rehearsal.identity, "SIGSTOP");
  const events: SupervisorEvent[] = [];
  await using sup = await succeed(yard, children, events);
  const adopted = sup.whichChildren()[0]?.child?.identity;
  signal(adopted as Identity, "SIGKILL");
  await until(() => sup.whichChildren()[0]?.restarts === 1, "it is restarted");
  expect(readStat(adopted?.pid ?? 0)?.state).toBe("Z");
  expect(events.find(({ kind }) => kind === "child_exited")).toMatchObject({ exit: { signal: "SIGKILL" } });
});

test("an adopted process that is not ready in time is replaced", async () => {
  await using yard = new Yard();
  const before = one(await bereave(yard, [sleeper(yard, "a")]), "a");
  const ready = async (identity: Identity, signal: AbortSignal) => {
    if (identity.pid === before.pid) await clock.sleep(60_000, signal);
  };
  const events: SupervisorEvent[] = [];
  await using sup = await succeed(yard, [sleeper(yard, "a", { ready, startTimeoutMs: 100 })], events);
  expect(sup.whichChildren()[0]).toMatchObject({ state: "running", restarts: 1 });
  expect(isAlive(before)).toBe(false);
  expect(events).toContainEqual({ kind: "replaced", id: "a", pid: before.pid, why: "not_ready" });
});

test("what a child started before both it and its supervisor were killed is not taken for the child", async () => {
  await using yard = new Yard();
  const daemon = yard.shell("a", "setsid sleep 1000 & echo $! > daemon; exec sleep 1000");
  const rehearsal = yard.rehearse([daemon]);
  await rehearsal.ready;
  await until(() => (living(yard).a ?? []).length === 2, "both run");
  const found = living(yard).a ?? [];
  const main = JSON.parse(readFileSync(toStatePath(yard.stateDir, "a"), "utf8")).identity as Identity;
  signal(rehearsal.identity, "SIGKILL");
  await rehearsal.exited;
  signal(main, "SIGKILL");
  await until(() => !isAlive(main), "the child is dead");
  await using sup = await succeed(yard, [daemon]);
  expect(found.filter(isAlive)).toEqual([]);
  expect(sup.whichChildren()[0]?.child?.adopted).toBe(false);
});

// ------------------------------------------------------------------------ pure

const marked = (pid: number, marker: string, more: Partial<Marked> = {}): Marked => ({
  id: "a",
  identity: { pid, startTime: pid },
  marker,
  specHash: marker.split(".")[0] ?? "",
  uid: 0,
  leads: true,
  ...more,
});
const bootId = readBootId();
const sight: Sight = {
  stored: { kind: "missing" },
  specHash: "spec",
  bootId,
  marked: [],
  isAlive: () => true,
  isUsed: () => true,
};

test("without a file, only a group leader with the right spec is the child", () => {
  const followers = [marked(1, "spec.1", { leads: false }), marked(2, "other.2")];
  expect(chooseAdoption({ ...sight, marked: followers }).adopt).toBeUndefined();
  expect(chooseAdoption({ ...sight, marked: followers }).replace).toHaveLength(2);
  const decision = chooseAdoption({ ...sight, marked: [marked(5, "spec.5"), marked(4, "spec.4")] });
  expect(decision.adopt?.identity.pid).toBe(4);
  expect(decision.replace).toEqual([{ identity: { pid: 5, startTime: 5 }, why: "duplicate" }]);
});

test("what the child itself started goes with it, whichever way it was found", () => {
  const family = [marked(4, "spec.4"), marked(6, "spec.4", { leads: false })];
  expect(chooseAdoption({ ...sight, marked: family }).replace).toEqual([]);
});

test("a marker in the file decides against an older process without it", () => {
  const stored = { kind: "state", state: { phase: "spawning", marker: "spec.9", restarts: 0 } } as const;
  const decision = chooseAdoption({ ...sight, stored, marked: [marked(4, "spec.4"), marked(9, "spec.9")] });
  expect(decision.adopt).toMatchObject({ identity: { pid: 9 }, by: "marker" });
  expect(decision.replace).toMatchObject([{ identity: { pid: 4 }, why: "duplicate" }]);
});
