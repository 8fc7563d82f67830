import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  isRoot,
  isRunning,
  noJobs,
  readText,
  server,
  startBench,
  toPlace,
  toWanted,
  until,
} from "./harness.ts";

// They run at once, on machines that have other things to do.
setDefaultTimeout(240_000);

const python = "/usr/bin/python3 server.py";

test.concurrent("an instance boots, is up once it listens, and is stopped when nobody wants it", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  engine.converge(toWanted(toPlace(python)), noJobs);
  const up = await until("up", () => engine.instances().find(({ state }) => state === "up"));
  expect(up).toMatchObject({ name: "web.1", app: "shop", attempts: 1, host: "127.0.0.1" });
  expect(await (await fetch(`http://127.0.0.1:${up.port}/`)).text()).toBe(String(up.pid));
  expect(bench.changes.map(({ state }) => state)).toEqual(["starting", "up"]);

  engine.converge(toWanted(), noJobs);
  expect(engine.instances()[0]?.state).toBe("draining");
  bench.drained.add(up.id);
  await until("gone", () => engine.instances().length === 0);
  expect(isRunning(up.pid)).toBe(false);
  await until("swept", () => !existsSync(join(bench.ground.instances, up.id)));
  await until("log", () => bench.log().includes("Process exited with status 143"));
  const log = bench.log();
  for (const text of [
    "nines[web.1]: Starting process with command `/usr/bin/python3 server.py`",
    "app[web.1]: hello from web.1",
    "nines[web.1]: State changed from starting to up",
    "nines[web.1]: Stopping all processes with SIGTERM",
  ]) {
    expect(log).toContain(text);
  }
});

test.concurrent("a killed instance is replaced from the spare at once, under another id and port", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  engine.converge(toWanted(toPlace(python)), noJobs);
  const first = await until("up", () => engine.instances().find(({ state }) => state === "up"));
  await until("spare", () => readdirSync(bench.ground.instances).length === 2);
  process.kill(first.pid, "SIGKILL");
  const next = await until("replacement", () => engine.instances().find(({ id }) => id !== first.id));
  expect(next.port).not.toBe(first.port);
  expect(next.attempts).toBe(2);
  const crashed = bench.changes.find(({ state }) => state === "crashed");
  expect(crashed).toMatchObject({ id: first.id, reason: "killed by SIGKILL", pid: 0 });
});

test.concurrent("the environment is the app's own and holds nothing of the platform's", async () => {
  await using bench = startBench();
  await bench.build("b1", { "node_modules/.bin/x": "", run: "env; pwd; ls -l; exec sleep 60" });
  const engine = bench.start();
  process.env.NINES_TEST_SECRET = "sesame";
  engine.converge(toWanted(toPlace("sh run", { name: "worker.1", config: { COLOR: "red" } })), noJobs);
  const up = await until("up", () => engine.instances().find(({ state }) => state === "up"));
  await until("output", () => bench.log().includes("node_modules ->"));
  delete process.env.NINES_TEST_SECRET;
  const directory = join(bench.ground.instances, up.id);
  const env = readFileSync(`/proc/${up.pid}/environ`, "utf8").split("\0").filter(Boolean).toSorted();
  const names = env.map((pair) => pair.split("=")[0]);
  expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name ?? ""))).toEqual([
    ...["COLOR", "DYNO", "HOME", "LANG", "NINES_AGENT", "NINES_APP", "NINES_GENERATION"],
    ...["NINES_INSTANCE_ID", "NINES_PROCESS", "NINES_RELEASE", "NINES_SPOOL", "NINES_STAGE"],
    "PATH",
  ]);
  expect(env).toContain(`HOME=${directory}`);
  expect(env).toContain("NINES_RELEASE=v1");
  expect(env).toContain("DYNO=worker.1");
  expect(env.find((pair) => pair.startsWith("PATH="))).toStartWith(
    `PATH=${directory}/node_modules/.bin:${directory}/.venv/bin:/`,
  );
  expect(bench.log()).toContain(`app[worker.1]: ${directory}`);
});

test.concurrent.if(isRoot)(
  "an app as another user cannot read the platform's files or another app's",
  async () => {
    await using bench = startBench();
    await bench.build("b1", { run: "exec sleep 60" }, 1);
    await Bun.write(join(bench.home, "secrets", "platform"), "sesame");
    const engine = bench.start();
    engine.converge(toWanted(toPlace("exec sleep 60", { name: "worker.1" })), noJobs);
    const other = await until("up", () => engine.instances().find(({ state }) => state === "up"));
    const spy = `
    id -u; sleep 1.5
    for path in ${bench.home}/agent ${bench.ground.instances}/${other.id} ${bench.ground.builds}/b1 \\
      /proc/${process.pid}/environ /proc/${other.pid}/environ ${bench.home}/log/apps/shop.log; do
      cat $path >/dev/null 2>&1 && echo "reads $path"
      ls $path >/dev/null 2>&1 && [ -d $path ] && echo "lists $path"
    done
    touch ${bench.ground.builds}/b2/file && echo "writes its build"
    echo text > /dev/stdout
    echo done; exec sleep 60`;
    await bench.build("b2", { run: spy }, 2);
    const place = toPlace("sh run", { app: "spy", appNumber: 2, build: "b2", name: "worker.1" });
    engine.converge(toWanted(toPlace("exec sleep 60", { name: "worker.1" }), place), noJobs);
    await until("done", () => bench.log("spy").includes("app[worker.1]: done"));
    const said = bench.log("spy");
    expect(said).toContain("app[worker.1]: 70002");
    expect(said).not.toMatch(/reads|lists|writes/);
  },
);

test.concurrent("a process that listens elsewhere, or that nobody of ours is, does not make an instance up: R10", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  const limits = { ...toPlace("").limits, bootTimeoutMs: 5_000 };
  engine.converge(toWanted(toPlace("PORT=19321 exec /usr/bin/python3 server.py", { limits })), noJobs);
  // On a busy machine a boot may not even come so far, and is tried again.
  const says = /Error R10 .* listens on 19321, not on PORT 2\d+/;
  await until("crash", () =>
    bench.changes.find(({ state, reason }) => state === "crashed" && says.test(reason)),
  );
  engine.converge(toWanted(), noJobs);
});

test.concurrent("one that never binds is killed with R10", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  const limits = { ...toPlace("").limits, bootTimeoutMs: 200 };
  engine.converge(toWanted(toPlace("exec sleep 60", { limits })), noJobs);
  await until("R10", () =>
    bench.log().includes("Error R10 (Boot timeout) -> Web process failed to bind to $PORT"),
  );
});

test.concurrent("an instance is starting until its health path answers 2xx", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  const health = { path: "/sick", intervalMs: 100, timeoutMs: 4_000, failures: 3 };
  const limits = { ...toPlace("").limits, bootTimeoutMs: 5_000 };
  engine.converge(toWanted(toPlace(python, { health, limits })), noJobs);
  const says = /did not answer 2xx at \/sick within 5 s of launch: answered 503/;
  await until("crash", () =>
    bench.changes.find(({ state, reason }) => state === "crashed" && says.test(reason)),
  );
  expect(bench.changes.some(({ state }) => state === "up")).toBe(false);
});

test.concurrent("an unhealthy instance is told so, killed and replaced, also when it is the only one", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  const health = { path: "/", intervalMs: 50, timeoutMs: 10_000, failures: 3 };
  engine.converge(toWanted(toPlace(python, { health })), noJobs);
  const first = await until("up", () => engine.instances().find(({ state }) => state === "up"));
  await Bun.write(join(bench.ground.instances, first.id, "sick"), "");
  const next = await until("next", () =>
    engine.instances().find(({ id, state }) => id !== first.id && state === "up"),
  );
  expect(bench.changes.filter(({ id }) => id === first.id).map(({ state }) => state)).toEqual([
    ...(["starting", "up", "unhealthy", "crashed"] as const),
  ]);
  expect(isRunning(first.pid)).toBe(false);
  expect(next.attempts).toBe(2);
});

test.concurrent("of several that fail their checks at once, one is replaced after another", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  const health = { path: "/", intervalMs: 50, timeoutMs: 10_000, failures: 3 };
  const names = ["web.1", "web.2", "web.3"];
  engine.converge(toWanted(...names.map((name) => toPlace(python, { name, health }))), noJobs);
  const ups = () => engine.instances().filter(({ state }) => state === "up");
  const first = await until("all are up", () => (ups().length === 3 ? ups() : undefined));
  for (const { id } of first) await Bun.write(join(bench.ground.instances, id, "sick"), "");
  const from = bench.changes.length;
  await until(
    "all are replaced",
    () => ups().length === 3 && !ups().some(({ id }) => first.some((one) => one.id === id)),
  );
  const serving = new Set(first.map(({ id }) => id));
  let fewest = serving.size;
  for (const { id, state } of bench.changes.slice(from)) {
    if (state === "up") serving.add(id);
    else serving.delete(id);
    fewest = Math.min(fewest, serving.size);
  }
  expect(fewest).toBe(2);
});

test.concurrent("a stopped process (SIGSTOP) is unhealthy at once, and replaced", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  const health = { path: "/", intervalMs: 1_000, timeoutMs: 10_000, failures: 3 };
  engine.converge(toWanted(toPlace(python, { health })), noJobs);
  const first = await until("up", () => engine.instances().find(({ state }) => state === "up"));
  process.kill(first.pid, "SIGSTOP");
  await until("unhealthy", () => bench.changes.some(({ state }) => state === "unhealthy"));
  await until("next", () => engine.instances().find(({ id, state }) => id !== first.id && state === "up"));
});

test.concurrent("who ignores SIGTERM is killed after the grace, with R12", async () => {
  await using bench = startBench();
  await bench.build("b1", { run: "trap '' TERM; echo deaf; while :; do sleep 0.1; done" });
  const engine = bench.start();
  const limits = { ...toPlace("").limits, graceMs: 300 };
  engine.converge(toWanted(toPlace("sh run", { name: "worker.1", limits })), noJobs);
  await until("deaf", () => bench.log().includes("deaf"));
  engine.converge(toWanted(), noJobs);
  await until("gone", () => engine.instances().length === 0);
  await until("R12", () => bench.log().includes("Error R12 (Exit timeout)"));
  await until("SIGKILL", () => bench.log().includes("Stopping all processes with SIGKILL"));
});

test.concurrent("children that left the process group are stopped with it", async () => {
  await using bench = startBench();
  await bench.build("b1", {
    run: "setsid sh -c 'trap \"\" TERM; sleep 61' & sleep 62 & echo forked; exec sleep 63",
  });
  const engine = bench.start();
  engine.converge(toWanted(toPlace("sh run", { name: "worker.1" })), noJobs);
  await until("forked", () => bench.log().includes("forked") && bench.processes().length >= 4);
  const main = engine.instances()[0]?.pid ?? 0;
  process.kill(main, "SIGKILL");
  const next = await until("next", () =>
    engine.instances().find(({ pid, state }) => pid !== main && state === "up"),
  );
  const own = () =>
    bench.processes().filter((pid) => readFileSync(`/proc/${pid}/environ`, "utf8").includes(next.id));
  await until("only the new ones", () => bench.processes().length === own().length && own().length >= 4);
  engine.converge(toWanted(), noJobs);
  await until("none", () => bench.processes().length === 0);
});

test.concurrent("what a shell's server does after SIGTERM in peace is waited for", async () => {
  await using bench = startBench();
  const slow = "trap 'sleep 0.5; echo finished; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
  await bench.build("b1", { slow, run: "sh slow & wait" });
  const engine = bench.start();
  engine.converge(toWanted(toPlace("sh run", { name: "worker.1" })), noJobs);
  await until("ready", () => bench.log().includes("ready"));
  engine.converge(toWanted(), noJobs);
  await until("gone", () => engine.instances().length === 0);
  await until("finished", () => bench.log().includes("finished"));
  expect(bench.log()).not.toContain("R12");
});

test.concurrent("memory over the quota is told once, over twice the quota it is the end", async () => {
  await using bench = startBench();
  const eat = `
import time
a = bytearray(40 << 20); print("fat", flush=True); time.sleep(4.5)
b = bytearray(80 << 20); time.sleep(60)`;
  await bench.build("b1", { "eat.py": eat });
  const engine = bench.start();
  const limits = { ...toPlace("").limits, memoryBytes: 32 << 20 };
  engine.converge(toWanted(toPlace("exec /usr/bin/python3 eat.py", { name: "worker.1", limits })), noJobs);
  await until("R15", () => bench.log().includes("Error R15"));
  expect(bench.log().match(/Error R14/g)?.length).toBe(1);
});

test.concurrent("a crash loop cools off, is shown with its next try, and a restart by hand does not wait", async () => {
  await using bench = startBench();
  await bench.build("b1", { x: "" });
  const engine = bench.start();
  engine.converge(toWanted(toPlace("exit 0", { name: "worker.1" })), noJobs);
  const waiting = await until("cool-off", () =>
    engine.instances().find(({ state, nextTryAt }) => state === "crashed" && nextTryAt > Date.now() + 500),
  );
  expect(waiting).toMatchObject({ reason: "exited with status 0", pid: 0 });
  expect(waiting.attempts).toBeGreaterThanOrEqual(2);
  expect(engine.restart(waiting.id)).toBe(true);
  await until("another attempt", () => engine.instances()[0]?.attempts === waiting.attempts + 1);
});

test.concurrent("a build that is not here is a crash with that reason, and no other place suffers", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  engine.converge(
    toWanted(toPlace(python), toPlace("x", { app: "blog", build: "b9", name: "worker.1" })),
    noJobs,
  );
  await until("blog", () =>
    engine
      .instances()
      .find(({ app, reason }) => app === "blog" && reason.includes("build b9 is not on this machine")),
  );
  await until("shop", () => engine.instances().find(({ app, state }) => app === "shop" && state === "up"));
});

test.concurrent("a flood of output neither blocks the app nor grows without end, and what is lost is told", async () => {
  await using bench = startBench();
  const line = "a long line of output ".repeat(40);
  await bench.build("b1", { run: `timeout 1 yes '${line}'; echo after; exec sleep 60` });
  const engine = bench.start();
  engine.converge(toWanted(toPlace("sh run", { name: "worker.1" })), noJobs);
  const log = bench.options.appLog("shop");
  const all = () => readText(`${log}.1`) + readText(log);
  // The flood was cut off within a line, so the end may share one with it.
  while (!all().endsWith("after\n")) await Bun.sleep(200);
  expect(/Error L12 \(Local buffer overflow\) -> \d+ bytes/.test(all())).toBe(true);
  const output = join(bench.home, "agent", "instances", engine.instances()[0]?.id ?? "", "output");
  const disk = Number(Bun.spawnSync(["du", "-k", output]).stdout.toString().split("\t")[0]);
  expect(disk).toBeLessThan(12 * 1024);
});

test.concurrent("a frozen app keeps what it has", async () => {
  await using bench = startBench();
  await bench.build("b1", { "server.py": server });
  const engine = bench.start();
  engine.converge(toWanted(toPlace(python)), noJobs);
  const up = await until("up", () => engine.instances().find(({ state }) => state === "up"));
  engine.converge({ revision: 2, places: [], frozen: new Map([["shop", "not understood"]]) }, noJobs);
  expect(engine.instances()[0]).toMatchObject({ id: up.id, state: "up" });
});
