import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "./engine.ts";
import { type Bench, isRunning, noJobs, server, startBench, toPlace, toWanted, until } from "./harness.ts";

// They run at once, on machines that have other things to do.
setDefaultTimeout(240_000);

const python = "/usr/bin/python3 server.py";
const place = toPlace(python);

async function boot(bench: Bench) {
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  engine.converge(toWanted(place), noJobs);
  const up = await until("up", () => find(engine, "up"));
  return { engine, up };
}

const find = (engine: Engine, state: string) => engine.instances().find((one) => one.state === state);
const folderOf = (bench: Bench, id: string) => join(bench.home, "agent", "instances", id);

test.concurrent("a successor adopts what runs: same process, same name, same since, nothing started", async () => {
  await using bench = startBench();
  const { engine, up } = await boot(bench);
  await engine[Symbol.asyncDispose]();
  expect(isRunning(up.pid)).toBe(true);
  bench.changes.length = 0;
  const successor = bench.start();
  expect(successor.instances()).toEqual([up]);
  successor.converge(toWanted(place), noJobs);
  await Bun.sleep(100);
  expect(successor.instances()).toEqual([up]);
  expect(bench.changes).toEqual([]);
});

test.concurrent("the end of an adopted instance is noticed at once and answered by a replacement", async () => {
  await using bench = startBench();
  const { engine, up } = await boot(bench);
  await engine[Symbol.asyncDispose]();
  const successor = bench.start();
  process.kill(up.pid, "SIGKILL");
  const next = await until("next", () => successor.instances().find(({ id }) => id !== up.id));
  expect(next.attempts).toBe(2);
  expect(bench.changes.findLast(({ id }) => id === up.id)?.state).toBe("crashed");
});

test.concurrent("what died while nobody looked is a crash, told and replaced", async () => {
  await using bench = startBench();
  const { engine, up } = await boot(bench);
  await engine[Symbol.asyncDispose]();
  process.kill(up.pid, "SIGKILL");
  await until("dead", () => !isRunning(up.pid));
  const successor = bench.start();
  const next = await until("next", () => successor.instances().find(({ id }) => id !== up.id));
  expect(next.attempts).toBe(2);
  await until("swept", () => !existsSync(folderOf(bench, up.id)));
});

for (const [what, content] of Object.entries({
  truncated: '{"phase":"spawned","pla',
  empty: "",
  garbage: "\0\x01zz",
})) {
  test.concurrent(`with a state file that is ${what}, a living instance is known by its environment`, async () => {
    await using bench = startBench();
    const { engine, up } = await boot(bench);
    await engine[Symbol.asyncDispose]();
    writeFileSync(join(folderOf(bench, up.id), "state.json"), content);
    const successor = bench.start();
    successor.converge(toWanted(place), noJobs);
    const again = await until("up", () => find(successor, "up"));
    expect(again).toMatchObject({ id: up.id, pid: up.pid, port: up.port, name: "web.1" });
    expect(bench.processes()).toEqual([up.pid]);
  });
}

test.concurrent("with a damaged state file and a place that nobody wants, the process is stopped and cleared away", async () => {
  await using bench = startBench();
  const { engine, up } = await boot(bench);
  await engine[Symbol.asyncDispose]();
  writeFileSync(join(folderOf(bench, up.id), "state.json"), "");
  const successor = bench.start();
  successor.converge(toWanted(), noJobs);
  await until("stopped", () => !isRunning(up.pid) && !existsSync(folderOf(bench, up.id)));
});

test.concurrent("a phantom, alive but unknown, is stopped; a stranger with the pid of ours is left alone", async () => {
  await using bench = startBench();
  const { engine, up } = await boot(bench);
  await engine[Symbol.asyncDispose]();
  const state = join(folderOf(bench, up.id), "state.json");
  const stored = JSON.parse(await Bun.file(state).text());
  rmSync(folderOf(bench, up.id), { recursive: true });
  // A state file whose pid is now another process's: this very one, which must survive.
  mkdirSync(folderOf(bench, "stranger"));
  const strange = { ...stored.instance, id: "stranger" };
  const identity = { pid: process.pid, startTime: 1 };
  const file = join(folderOf(bench, "stranger"), "state.json");
  await Bun.write(file, JSON.stringify({ ...stored, instance: strange, identity }));
  const successor = bench.start();
  successor.converge(toWanted(), noJobs);
  await until("phantom stopped", () => !isRunning(up.pid));
  await until("forgotten", () => successor.instances().length === 0);
});

test.concurrent("an instance that was being spawned when the agent died is found by its mark", async () => {
  await using bench = startBench();
  const { engine, up } = await boot(bench);
  await engine[Symbol.asyncDispose]();
  const state = join(folderOf(bench, up.id), "state.json");
  const { identity: _, ...rest } = JSON.parse(await Bun.file(state).text());
  const instance = { ...rest.instance, state: "starting", pid: 0 };
  await Bun.write(state, JSON.stringify({ ...rest, phase: "spawning", instance }));
  const successor = bench.start();
  successor.converge(toWanted(place), noJobs);
  const again = await until("up", () => find(successor, "up"));
  expect(again).toMatchObject({ id: up.id, pid: up.pid });
  expect(bench.processes()).toEqual([up.pid]);
});

test.concurrent("a cool-off goes on where it was", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const looping = toPlace("exit 3", { name: "worker.1" });
  const engine = bench.start();
  engine.converge(toWanted(looping), noJobs);
  const waiting = await until("cool-off", () =>
    engine.instances().find(({ nextTryAt }) => nextTryAt > Date.now() + 500),
  );
  await engine[Symbol.asyncDispose]();
  const successor = bench.start();
  successor.converge(toWanted(looping), noJobs);
  const resumed = successor.instances()[0];
  expect(resumed).toMatchObject({
    id: waiting.id,
    attempts: waiting.attempts,
    state: "crashed",
    nextTryAt: waiting.nextTryAt,
  });
  await until("the next try", () => successor.instances()[0]?.attempts === waiting.attempts + 1);
  expect(successor.instances().length).toBe(1);
});

test.concurrent("a place that cools off and is not wanted any more leaves no state behind", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  engine.converge(toWanted(toPlace("exit 3", { name: "worker.1" })), noJobs);
  await until("cool-off", () => engine.instances().find(({ nextTryAt }) => nextTryAt > Date.now() + 500));
  await until("swept", () => readdirSync(join(bench.home, "agent", "instances")).length === 1);
  engine.converge(toWanted(), noJobs);
  await until("forgotten", () => readdirSync(join(bench.home, "agent", "instances")).length === 0);
});

test.concurrent("draining goes on under a successor", async () => {
  await using bench = startBench();
  const slow = toPlace(python, { limits: { ...place.limits, drainTimeoutMs: 60_000 } });
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  engine.converge(toWanted(slow), noJobs);
  const up = await until("up", () => find(engine, "up"));
  engine.converge(toWanted(), noJobs);
  await engine[Symbol.asyncDispose]();
  const successor = bench.start();
  successor.converge(toWanted(), noJobs);
  expect(successor.instances()[0]).toMatchObject({ id: up.id, state: "draining" });
  bench.drained.add(up.id);
  await until("gone", () => !isRunning(up.pid));
});

test.concurrent("the output that was written while no agent lived is read by the next, once", async () => {
  await using bench = startBench();
  const ticking = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done";
  await bench.build("b1", { ticking });
  const engine = bench.start();
  const worker = toPlace("sh ticking", { name: "worker.1" });
  engine.converge(toWanted(worker), noJobs);
  await until("ticks", () => bench.log().includes("tick 5\n"));
  await engine[Symbol.asyncDispose]();
  await Bun.sleep(300);
  bench.start().converge(toWanted(worker), noJobs);
  await until("more", () => bench.log().includes("tick 40\n"));
  const ticks = [...bench.log().matchAll(/tick (\d+)\n/g)].map(([, tick]) => Number(tick));
  expect(ticks).toEqual(ticks.map((_, index) => index + 1));
});

test.concurrent("an orderly stop leaves nothing: no process, no directory, no state", async () => {
  await using bench = startBench();
  const { engine } = await boot(bench);
  await engine.stop();
  expect(bench.processes()).toEqual([]);
  for (const folder of [join(bench.home, "agent", "instances"), bench.ground.instances]) {
    expect(readdirSync(folder)).toEqual([]);
  }
});
