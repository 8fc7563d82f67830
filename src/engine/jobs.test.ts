import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "tar";
import { runFrames } from "../wire/api.ts";
import type { Job } from "../wire/records.ts";
import type { WantedJob } from "./desired.ts";
import type { Client, Engine } from "./engine.ts";
import { type Bench, isRoot, isRunning, startBench, toPlace, toWanted, until } from "./harness.ts";

// They run at once, on machines that have other things to do.
setDefaultTimeout(240_000);

function toJob(kind: Job["kind"], command: string, more: Partial<Job> = {}): WantedJob {
  const order: Job = {
    ...{ id: `job-${Math.random().toString(36).slice(2)}`, app: "shop", kind, build: "b1", command },
    ...{ deadlineMs: 20_000, createdAt: new Date().toISOString() },
    ...more,
  };
  const release = {
    ...{ app: "shop", version: 1, build: "b1", config: { COLOR: "red" }, processes: {} },
    ...{ limits: toPlace("").limits, description: "", createdAt: "", by: "" },
  };
  return { order, appNumber: 1, release: kind === "build" ? undefined : release };
}

const over = (engine: Engine, id: string) =>
  until("job over", () =>
    engine.jobs().find(({ job, state }) => job === id && (state === "exited" || state === "failed")),
  );
const run = async (bench: Bench, engine: Engine, wanted: WantedJob) => {
  engine.converge(toWanted(), [wanted]);
  const status = await over(engine, wanted.order.id);
  const text = Bun.file(bench.options.jobLog(wanted.order.id));
  return { status, output: (await text.exists()) ? await text.text() : "" };
};

async function upload(bench: Bench, build: string, files: Record<string, string>): Promise<void> {
  const folder = join(bench.home, `source-${build}`);
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  await create({ gzip: true, cwd: folder, file: join(bench.home, `${build}.tgz`) }, ["."]);
}

test.concurrent("a job runs once, as its app, with the release's config; its exit code and output are kept", async () => {
  await using bench = startBench();
  await bench.build("b1", { greet: "echo $COLOR $NINES_RELEASE in $PWD; id -u; exit 7" });
  const engine = bench.start();
  const job = toJob("release", "sh greet", { release: 1 });
  const { status, output } = await run(bench, engine, job);
  expect(status).toMatchObject({ state: "exited", exit: 7, reason: "exited with status 7" });
  expect(output).toStartWith(`red v1 in ${bench.ground.instances}/`);
  if (isRoot) expect(output).toContain("\n70001\n");
  engine.converge(toWanted(), [job]);
  await Bun.sleep(50);
  expect(bench.jobChanges.filter(({ state }) => state === "running").length).toBe(1);
  engine.converge(toWanted(), []);
  await until("forgotten", () => engine.jobs().length === 0);
  await until("its folder is gone", () => !existsSync(join(bench.home, "agent", "jobs", job.order.id)));
});

test.concurrent("a job outlives its agent, and the next one has its exit code", async () => {
  await using bench = startBench();
  await bench.build("b1", { slow: "echo begun; sleep 0.5; echo ended; exit 5" });
  const engine = bench.start();
  const job = toJob("run", "sh slow");
  engine.converge(toWanted(), [job]);
  await until("running", () => engine.jobs()[0]?.state === "running");
  await engine[Symbol.asyncDispose]();
  const successor = bench.start();
  const { status, output } = await run(bench, successor, job);
  expect(status).toMatchObject({ state: "exited", exit: 5 });
  expect(output).toBe("begun\nended\n");
});

test.concurrent("a job that ended while no agent lived has its exit code all the same", async () => {
  await using bench = startBench();
  await bench.build("b1", { slow: "sleep 0.2; exit 9" });
  const engine = bench.start();
  const job = toJob("run", "sh slow");
  engine.converge(toWanted(), [job]);
  await until("running", () => engine.jobs()[0]?.state === "running");
  await engine[Symbol.asyncDispose]();
  await until("ended", () => bench.processes().length === 0);
  const { status } = await run(bench, bench.start(), job);
  expect(status).toMatchObject({ state: "exited", exit: 9 });
});

test.concurrent("a job that somebody kills has failed, whether all of it is killed or a part", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  const parts = toJob("run", "kill -9 $$");
  const whole = toJob("run", "exec sleep 60");
  engine.converge(toWanted(), [parts, whole]);
  await until(
    "running",
    () => engine.jobs().every(({ state }) => state !== "pending") && bench.processes().length >= 2,
  );
  expect(await over(engine, parts.order.id)).toMatchObject({ state: "failed", reason: "killed", exit: 137 });
  for (const pid of bench.processes()) process.kill(pid, "SIGKILL");
  expect(await over(engine, whole.order.id)).toMatchObject({ state: "failed", reason: "killed" });
});

test.concurrent("a job that hangs is stopped at its deadline, with all that it started", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  const { status } = await run(
    bench,
    engine,
    toJob("release", "setsid sleep 60 & sleep 60", { deadlineMs: 300 }),
  );
  expect(status).toMatchObject({ state: "failed", reason: "timed out after 300 ms" });
  await until("none is left", () => bench.processes().length === 0);
});

test.concurrent("a job whose record is gone is ended", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  engine.converge(toWanted(), [toJob("run", "exec sleep 60")]);
  await until("running", () => bench.processes().length > 0);
  engine.converge(toWanted(), []);
  await until("ended", () => bench.processes().length === 0);
  await until("forgotten", () => readdirSync(join(bench.home, "agent", "jobs")).length === 0);
});

test.concurrent("a build unpacks and runs its command; its app runs from it and cannot change it", async () => {
  await using bench = startBench();
  await upload(bench, "b7", { Procfile: "web: sh run", run: "cat made; ls -ld made; exec sleep 60" });
  const engine = bench.start();
  const job = toJob("build", "echo made by $(id -u) > made && echo built", { build: "b7" });
  const { status, output } = await run(bench, engine, job);
  expect(status).toMatchObject({ state: "exited", exit: 0 });
  expect(output).toMatch(/Unpacked \d+ files.*\n-----> echo made .*\nbuilt\n-----> Built\n/);
  const place = toPlace("sh run", { build: "b7", name: "worker.1" });
  engine.converge(toWanted(place), []);
  await until("up", () => bench.log().includes("made by"));
  if (isRoot) {
    expect(bench.log()).toContain("made by 70001");
    const made = statSync(join(bench.ground.builds, "b7", "made"));
    expect([made.uid, made.gid, made.mode & 0o777]).toEqual([0, 70_001, 0o640]);
  }
});

test.concurrent("a build that fails says so, leaves nothing, and one that is there already is not made again", async () => {
  await using bench = startBench();
  await upload(bench, "b1", { Procfile: "web: x" });
  const engine = bench.start();
  const failed = await run(bench, engine, toJob("build", "echo no luck; exit 3"));
  expect(failed.status).toMatchObject({ state: "exited", exit: 3 });
  expect(failed.output).toContain("no luck\n !     The build command exited with 3");
  expect(existsSync(join(bench.ground.builds, "b1"))).toBe(false);
  await run(bench, engine, toJob("build", "true"));
  const again = await run(bench, engine, toJob("build", "exit 9"));
  expect(again.status).toMatchObject({ state: "exited", exit: 0, reason: "it is there already" });
});

test.concurrent("a build without its archive, or with a cut off one, says what is wrong", async () => {
  await using bench = startBench();
  const engine = bench.start();
  const missing = await run(bench, engine, toJob("build", "", { build: "b8" }));
  expect(missing.status).toMatchObject({ state: "exited", exit: 1 });
  expect(missing.output).toContain("the uploaded archive is gone");
  await upload(bench, "b9", { Procfile: "web: x", big: "x".repeat(100_000) });
  const whole = await Bun.file(join(bench.home, "b9.tgz")).bytes();
  await Bun.write(join(bench.home, "b9.tgz"), whole.slice(0, whole.length / 2));
  const cut = await run(bench, engine, toJob("build", "", { build: "b9" }));
  expect(cut.output).toContain("the archive is cut off before its end");
});

test.concurrent("a build that is killed has failed and leaves nothing", async () => {
  await using bench = startBench();
  await upload(bench, "b1", { Procfile: "web: x" });
  const engine = bench.start();
  const job = toJob("build", "exec sleep 60");
  engine.converge(toWanted(), [job]);
  await until("building", () => bench.processes().length >= 3);
  for (const pid of bench.processes()) process.kill(pid, "SIGKILL");
  expect(await over(engine, job.order.id)).toMatchObject({ state: "failed", reason: "killed" });
  expect(existsSync(join(bench.ground.builds, "b1"))).toBe(false);
});

test.concurrent("builds without a record are pruned, those that run or are young are kept", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  await bench.build("b2", { x: "" });
  const engine = bench.start();
  engine.converge(toWanted(toPlace("exec sleep 60", { name: "worker.1" })), []);
  expect(await engine.pruneBuilds(new Set())).toEqual([]);
  const later = Date.now() + 3_600_000;
  const { clock } = bench.options;
  Object.assign(bench.options, { clock: { ...clock, wall: () => new Date(later) } });
  const aged = bench.start();
  aged.converge(toWanted(toPlace("exec sleep 60", { name: "worker.1" })), []);
  expect(await aged.pruneBuilds(new Set())).toEqual(["b2"]);
});

function createClient() {
  const frames: { kind: number; text: string }[] = [];
  const state = { closed: false };
  const client: Client = {
    send: (frame) =>
      void frames.push({ kind: frame[0] ?? -1, text: Buffer.from(frame.subarray(1)).toString() }),
    unsent: () => 0,
    close: () => {
      state.closed = true;
    },
  };
  const text = (kind: number) => frames.flatMap((frame) => (frame.kind === kind ? frame.text : "")).join("");
  return { client, state, text };
}

const frame = (kind: number, text: string) => Buffer.concat([Buffer.of(kind), Buffer.from(text)]);

test.concurrent("an attached run passes input, output, errors and the exit code through", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  const job = toJob("run", "cat; echo oops >&2; exit 4", { attached: true });
  const { client, state, text } = createClient();
  const attaching = engine.attach(job.order.id, undefined, client);
  engine.converge(toWanted(), [job]);
  const attachment = await attaching;
  attachment.receive(frame(runFrames.stdin, "hello "));
  attachment.receive(frame(runFrames.stdin, "you\n"));
  attachment.receive(frame(runFrames.stdin, ""));
  expect(await over(engine, job.order.id)).toMatchObject({ state: "exited", exit: 4 });
  expect(text(runFrames.stdout)).toBe("hello you\n");
  expect(text(runFrames.stderr)).toBe("oops\n");
  expect(JSON.parse(text(runFrames.exit))).toEqual({ code: 4 });
  expect(state.closed).toBe(true);
  expect(engine.attach(job.order.id, undefined, client)).rejects.toMatchObject({ code: "conflict" });
});

test.concurrent("an attached run with a terminal has one, of the size that the client's has", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  const job = toJob("run", 'tty; stty size; read line; stty size; echo "got $line"; exit 3', {
    attached: true,
  });
  engine.converge(toWanted(), [job]);
  const { client, text } = createClient();
  const attachment = await engine.attach(job.order.id, { columns: 90, rows: 33, name: "xterm" }, client);
  await until("size", () => text(runFrames.stdout).includes("33 90"));
  attachment.receive(frame(runFrames.resize, JSON.stringify({ columns: 70, rows: 20 })));
  attachment.receive(frame(runFrames.stdin, "line\n"));
  expect(await over(engine, job.order.id)).toMatchObject({ state: "exited", exit: 3 });
  expect(text(runFrames.stdout)).toContain("20 70");
  expect(text(runFrames.stdout)).toContain("got line");
});

test.concurrent("an attached run ends with its client, and with its agent", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  const left = toJob("run", "sleep 60", { attached: true });
  const orphan = toJob("run", "trap '' HUP; sleep 61", { attached: true });
  engine.converge(toWanted(), [left, orphan]);
  const attachment = await engine.attach(left.order.id, undefined, createClient().client);
  await engine.attach(orphan.order.id, undefined, createClient().client);
  await until("both", () => bench.processes().length >= 3);
  attachment.gone();
  expect(await over(engine, left.order.id)).toMatchObject({ state: "exited", exit: 129 });
  await engine[Symbol.asyncDispose]();
  const successor = bench.start();
  await until("ended", () => bench.processes().length === 0);
  expect(await over(successor, orphan.order.id)).toMatchObject({
    state: "failed",
    reason: "its agent was killed",
  });
});

test.concurrent("an attached run that cannot be started tells its client why", async () => {
  await using bench = startBench();
  const engine = bench.start();
  const job = toJob("run", "x", { attached: true, build: "b404" });
  engine.converge(toWanted(), [job]);
  const attaching = engine.attach(job.order.id, undefined, createClient().client);
  expect(attaching).rejects.toThrow("build b404 is not on this machine");
  expect(await over(engine, job.order.id)).toMatchObject({ state: "failed" });
});

test.concurrent("a build's own link out of the tree is its app's matter, a link in the archive is refused", async () => {
  await using bench = startBench();
  const folder = join(bench.home, "linked");
  mkdirSync(folder);
  symlinkSync("/etc/passwd", join(folder, "passwd"));
  await create({ gzip: true, cwd: folder, file: join(bench.home, "b5.tgz") }, ["."]);
  const engine = bench.start();
  const { status, output } = await run(bench, engine, toJob("build", "", { build: "b5" }));
  expect(status.exit).toBe(1);
  expect(output).toContain('"./passwd" is a link that points out of the app, to "/etc/passwd"');
  expect(isRunning(process.pid)).toBe(true);
});
