/** Apps that misbehave: each is named for what it does, and costs its neighbours and the platform nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { findProcesses } from "../../src/drill/leftovers.ts";
import { identify } from "../../src/os/proc.ts";
import { type Platform, startPlatform, until } from "../harness.ts";

const limitMs = 240_000;
const waitMs = 60_000;
const serve = "require('node:http').createServer((q, r) => r.end('good\\n')).listen(process.env.PORT);\n";
let platform: Platform;
let parts: string;

beforeAll(async () => {
  platform = await startPlatform();
  parts = await pids();
}, limitMs);

afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

test(
  "an app that exits at once fails its deploy with its last words, and the old release serves on",
  async () => {
    await platform.must("deploy", app({ "server.js": serve }), "-a", "exits");
    const ran = await platform.nines(
      "deploy",
      app({ "server.js": "console.log('my last words'); process.exit(7);" }),
      "-a",
      "exits",
    );
    expect(ran.code).toBe(1);
    expect(ran.stdout + ran.stderr).toContain("my last words");
    expect(ran.stdout + ran.stderr).toContain("7");
    expect((await platform.fetch("exits")).body).toBe("good\n");
    const releases = await platform.must("releases", "-a", "exits");
    expect(releases.stdout).toMatch(/v2.*failed/i);
  },
  limitMs,
);

test(
  "an app that never binds is told R10, and what it should have done",
  async () => {
    const source = app({ "server.js": "setInterval(() => {}, 1000);", "nines.yaml": "boot_timeout: 2s\n" });
    const ran = await platform.nines("deploy", source, "-a", "unbound");
    expect(ran.code).toBe(1);
    expect(ran.stdout + ran.stderr).toMatch(/R10|PORT/);
    await until("R10 is logged", waitMs, () => platform.log("apps/unbound.log").includes("R10"));
  },
  limitMs,
);

test(
  "an app that binds another port is told which",
  async () => {
    const [other] = [30_000 + Math.floor(Math.random() * 2_000)];
    const source = app({
      "server.js": `require('node:http').createServer(() => {}).listen(${other});`,
      "nines.yaml": "boot_timeout: 2s\n",
    });
    const ran = await platform.nines("deploy", source, "-a", "elsewhere");
    expect(ran.code).toBe(1);
    await until("it is told which", waitMs, () =>
      (ran.stdout + ran.stderr + platform.log("apps/elsewhere.log")).includes(String(other)),
    );
  },
  limitMs,
);

test(
  "an app that ignores SIGTERM is killed after its grace, and told R12",
  async () => {
    const source = app({
      "server.js": `process.on("SIGTERM", () => console.log("no")); ${serve}`,
      "nines.yaml": "grace: 1s\ndrain_timeout: 1s\n",
    });
    await platform.must("deploy", source, "-a", "stubborn");
    const [old] = platform.running("stubborn");
    if (!old?.pid) throw new Error("no instance runs");
    await platform.must("restart", "-a", "stubborn");
    await until("the old instance is gone", waitMs, () => identify(old.pid) === undefined);
    await until("R12 is logged", waitMs, () => platform.log("apps/stubborn.log").includes("R12"));
    expect((await platform.fetch("stubborn")).body).toBe("good\n");
  },
  limitMs,
);

test(
  "an app that floods its log fills no disk, loses lines out loud, and goes on serving",
  async () => {
    const flood = `const line = "x".repeat(1000) + "\\n"; const block = line.repeat(500);
    const { writeSync } = require("node:fs");
    setInterval(() => { const end = Date.now() + 40; while (Date.now() < end) writeSync(1, block); }, 50);`;
    await platform.must("deploy", app({ "server.js": serve + flood }), "-a", "flood");
    for (let i = 0; i < 20; i++) {
      expect((await platform.fetch("flood")).status).toBe(200);
      expect(sizeOf(platform.home.log)).toBeLessThan(100 * 1024 ** 2);
      await Bun.sleep(200);
    }
    expect(sizeOf(platform.folder)).toBeLessThan(700 * 1024 ** 2);
    await until("lost lines are announced", waitMs, () =>
      /L12|lost|dropped/.test(platform.log("apps/flood.log")),
    );
    await platform.must("apps:destroy", "-a", "flood", "--confirm", "flood");
  },
  limitMs,
);

test(
  "a line of a megabyte is split, not swallowed and not kept in memory",
  async () => {
    const source = app({ "server.js": `console.log("y".repeat(1_000_000)); ${serve}` });
    await platform.must("deploy", source, "-a", "longline");
    await until("the line is in the log", waitMs, () => platform.log("apps/longline.log").includes("yyyy"));
    const longest = Math.max(
      ...platform
        .log("apps/longline.log")
        .split("\n")
        .map((line) => line.length),
    );
    expect(longest).toBeLessThan(11_000);
  },
  limitMs,
);

test(
  "an app that forks and leaves children leaves none when it is stopped",
  async () => {
    const source = app({
      Procfile: "web: setsid sleep 98765 & sleep 98766 & node server.js\n",
      "server.js": serve,
      "nines.yaml": "grace: 1s\ndrain_timeout: 1s\n",
    });
    await platform.must("deploy", source, "-a", "forks");
    // Each has to become what it is to be, which its parent does not wait for.
    await until("both children run", waitMs, () => children().length === 2);
    await platform.must("apps:destroy", "-a", "forks", "--confirm", "forks");
    await until("its children are gone", waitMs, () => children().length === 0);
  },
  limitMs,
);

test(
  "a release command that hangs fails the deploy at its deadline, and is gone",
  async () => {
    const source = app({
      Procfile: "web: node server.js\nrelease: sleep 98767\n",
      "server.js": serve,
      "nines.yaml": "release_timeout: 2s\n",
    });
    const ran = await platform.nines("deploy", source, "-a", "hangs");
    expect(ran.code).toBe(1);
    expect(ran.stdout + ran.stderr).toMatch(/release/i);
    await until("the command is gone", waitMs, () =>
      findProcesses(platform.folder).every((one) => !one.command.includes("98767")),
    );
  },
  limitMs,
);

test(
  "a release command that fails fails the deploy before anything boots",
  async () => {
    const source = app({
      Procfile: "web: node server.js\nrelease: echo the schema is broken; exit 9\n",
      "server.js": serve,
    });
    const ran = await platform.nines("deploy", source, "-a", "unreleased");
    expect(ran.code).toBe(1);
    expect(ran.stdout + ran.stderr).toContain("the schema is broken");
    expect(platform.log("apps/unreleased.log")).not.toContain("Starting process with command `node");
  },
  limitMs,
);

test(
  "an app reads neither the platform's secrets nor another app",
  async () => {
    const source = app({ "server.js": serve });
    await platform.must("deploy", source, "-a", "curious");
    const [other] = platform.running("exits");
    for (const path of [
      platform.home.token,
      platform.home.secret,
      platform.home.databasePassword,
      `/proc/${other?.pid}/environ`,
    ]) {
      const ran = await platform.nines("run", "-a", "curious", "--", "cat", path);
      if (process.getuid?.() === 0) expect([path, ran.code]).not.toEqual([path, 0]);
    }
    const env = await platform.must("run", "-a", "curious", "--", "env");
    expect(env.stdout).not.toContain("NINES_HOME");
    expect(env.stdout).not.toContain("DATABASE_URL");
  },
  limitMs,
);

test(
  "nothing of all this has restarted a part",
  async () => {
    expect(await pids()).toBe(parts);
  },
  limitMs,
);

let serial = 0;
function app(files: Readonly<Record<string, string>>): string {
  return platform.app(`app-${serial++}`, { Procfile: "web: node server.js\n", ...files });
}

function children(): number[] {
  return findProcesses(platform.folder)
    .filter((one) => /^sleep 9876[56]\b/.test(one.command))
    .map((one) => one.pid);
}

async function pids(): Promise<string> {
  return (await platform.status()).map((part) => `${part.name} ${part.pid} ${part.restarts}`).join("\n");
}

/** Bytes on disk of all that lies below. */
function sizeOf(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    try {
      const path = join(folder, name);
      const stat = statSync(path);
      bytes += stat.isDirectory() ? sizeOf(path) : stat.blocks * 512;
    } catch {
      // Gone since the folder was read.
    }
  }
  return bytes;
}
