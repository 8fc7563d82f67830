/** Every command of a day's work, through `bin/nines`, against a whole platform. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../src/std/until.ts";
import type { ValveReply } from "../../src/wire/valve-api.ts";
import { type Platform, startPlatform } from "../harness.ts";

const limitMs = 180_000;
const waitMs = 60_000;
const examples = join(import.meta.dir, "../../examples");
let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ up: false });
}, limitMs);
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
}, limitMs);

test(
  "start brings up a platform with an app that answers, and again does nothing",
  async () => {
    const first = await platform.must("start");
    expect(first.stdout).toContain(`http://hello.localhost:${platform.port}`);
    expect(first.stdout).toMatch(/from the start of Nines to the first request served/);
    // A router that was held back until now may still be hearing of the app.
    await until("hello answers", waitMs, async () => (await platform.fetch("hello")).status === 200);
    // It started one of each kind first; it ends when the others are there, too.
    const parts = await platform.parts();
    expect(parts.length).toBeGreaterThanOrEqual(13);
    expect(parts.filter((part) => part.state !== "up")).toEqual([]);
    const before = await platform.ps("hello");
    const again = await platform.must("start", "--json");
    expect(JSON.parse(again.stdout)).toMatchObject({ started: false });
    expect((await platform.ps("hello")).map((one) => one.id)).toEqual(before.map((one) => one.id));
  },
  limitMs,
);

test(
  "what a start holds back comes by itself when that start is killed",
  async () => {
    await using other = await startPlatform({ up: false });
    const starting = Bun.spawn([join(import.meta.dir, "../../bin/nines"), "start"], {
      env: other.env,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    await until("a first broker is up", waitMs, async () => {
      const parts = await other.parts().catch(() => []);
      return parts.some((part) => part.name === "broker.1" && part.state === "up");
    });
    starting.kill("SIGKILL");
    await starting.exited;
    expect((await other.parts()).find((part) => part.name === "broker.2")?.state).toBe("starting");
    await other.whole(60_000);
  },
  limitMs * 2,
);

test(
  "deploy makes the app, shows how it gets on, and ends when it serves",
  async () => {
    const ran = await platform.must("deploy", join(examples, "python"), "-a", "snake");
    expect(ran.stdout).toMatch(
      /Building[\s\S]*Starting v1[\s\S]*web\.1 \(v1\) up[\s\S]*snake v1 is in service/,
    );
    expect((await platform.fetch("snake")).status).toBe(200);
    const again = await platform.must("deploy", join(examples, "python"), "-a", "snake");
    expect(again.stderr).toContain("sent before, not sent again");
    const { stdout } = await platform.must("releases", "-a", "snake", "--json");
    expect(JSON.parse(stdout)).toMatchObject([
      { version: 2, state: "current" },
      { version: 1, state: "former" },
    ]);
  },
  limitMs,
);

test(
  "a release that does not boot exits 1 with its last lines, and what served goes on",
  async () => {
    const source = platform.app("broken", { Procfile: 'web: echo "no such module: shop"; exit 3\n' });
    const ran = await platform.nines("deploy", source, "-a", "snake");
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/v3 of snake failed: .*status 3/);
    expect(ran.stderr).toContain("no such module: shop");
    expect(ran.stderr).toContain("v2 goes on serving");
    expect((await platform.fetch("snake")).status).toBe(200);
    expect((await platform.must("releases", "-a", "snake")).stdout).toMatch(/v3 +failed/);
  },
  limitMs,
);

test(
  "config is one release for all keys, none when nothing changes, and reaches the app",
  async () => {
    const set = await platform.must("config:set", "A=1", "B=x=y", "-a", "snake");
    expect(set.stdout).toContain("snake v4 is in service");
    expect((await platform.must("config:get", "B", "-a", "snake")).stdout).toBe("x=y\n");
    const same = await platform.must("config:set", "A=1", "-a", "snake");
    expect(same.stdout).toContain("no release was needed");
    expect((await platform.must("run", "-a", "snake", 'echo "$A $B"')).stdout).toBe("1 x=y\n");
    await platform.must("config:unset", "A", "-a", "snake");
    expect((await platform.must("config", "-a", "snake")).stdout).toBe("B=x=y\n");
    expect((await platform.nines("config:get", "A", "-a", "snake")).code).toBe(1);
  },
  limitMs,
);

test(
  "rollback is a new release with the build and the config of the old one",
  async () => {
    const ran = await platform.must("rollback", "v4", "-a", "snake");
    expect(ran.stdout).toContain("snake v6 is in service");
    expect((await platform.must("config:get", "A", "-a", "snake")).stdout).toBe("1\n");
    expect((await platform.nines("rollback", "v99", "-a", "snake")).code).toBe(1);
  },
  limitMs,
);

test(
  "run passes input, output, errors and the exit code through",
  async () => {
    const ran = await platform.run(["run", "-a", "snake", "--", "sh", "-c", "cat; echo e >&2; exit 42"], {
      stdin: "some input\n",
    });
    expect(ran).toMatchObject({ code: 42, stdout: "some input\n", stderr: "e\n" });
    const detached = await platform.must("run:detached", "-a", "snake", "echo from afar");
    expect(detached.stdout).toContain("was started");
    await until("the detached command's line is in the log", waitMs, async () =>
      (await platform.must("logs", "-a", "snake", "-n", "1500")).stdout.includes("from afar"),
    );
  },
  limitMs,
);

test(
  "scale --wait returns when it is so",
  async () => {
    await platform.must("scale", "web=3", "-a", "snake", "--wait");
    expect(platform.running("snake").filter((one) => one.state === "up")).toHaveLength(3);
    await platform.must("scale", "web-1", "-a", "snake", "--wait");
    expect(platform.running("snake")).toHaveLength(2);
    expect((await platform.must("ps:wait", "-a", "snake")).stdout).toContain("web=2");
    expect((await platform.nines("scale", "nope=1", "-a", "snake")).code).toBe(65);
  },
  limitMs,
);

test(
  "restart replaces one instance, or all of them",
  async () => {
    const ids = () =>
      platform
        .running("snake")
        .filter((one) => one.state === "up")
        .toSorted((a, b) => a.name.localeCompare(b.name))
        .map((one) => one.id);
    const [one, two] = ids();
    await platform.must("restart", "web.1", "-a", "snake");
    const [newOne, sameTwo] = ids();
    expect(newOne).not.toBe(one);
    expect(sameTwo).toBe(two);
    await platform.must("restart", "-a", "snake");
    expect(ids()).not.toContain(sameTwo);
    expect((await platform.nines("restart", "web.9", "-a", "snake")).code).toBe(1);
  },
  limitMs,
);

test(
  "logs are filtered by source and process, and a tail survives its controller",
  async () => {
    await platform.fetch("snake", { path: "/seen" });
    const lines = async (...args: string[]) =>
      (await platform.must("logs", "-a", "snake", "-n", "200", ...args)).stdout.split("\n").filter(Boolean);
    await until("the request is in the log", waitMs, async () =>
      (await lines("--source", "router")).some((line) => line.includes("/seen")),
    );
    for (const line of await lines("--source", "app", "--ps", "web.1"))
      expect(line).toContain(" app[web.1]: ");
    for (const line of await lines("--source", "nines")) expect(line).toContain(" nines[");

    const tail = Bun.spawn(
      [join(import.meta.dir, "../../bin/nines"), "logs", "-a", "snake", "-t", "-n", "1"],
      {
        env: platform.env,
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    let seen = "";
    const reading = (async () => {
      for await (const chunk of tail.stdout) seen += Buffer.from(chunk).toString();
    })();
    try {
      await until("the tail shows a line", waitMs, () => seen.includes("\n"));
      for (const part of await platform.status()) {
        if (part.kind === "controller" && part.pid !== null) process.kill(part.pid, "SIGKILL");
      }
      await platform.whole();
      const path = `/after-${Date.now()}`;
      await platform.fetch("snake", { path });
      await until("the tail goes on", waitMs, () => seen.includes(path));
      const shown = seen.trim().split("\n");
      expect(new Set(shown).size).toBe(shown.length);
    } finally {
      tail.kill();
      await reading;
    }
  },
  limitMs,
);

test(
  "domains and maintenance change what the routers answer",
  async () => {
    await platform.must("domains:add", "shop.example.com", "-a", "snake");
    await until(
      "the domain leads to the app",
      waitMs,
      async () => (await platform.fetch("snake", { host: "shop.example.com" })).status === 200,
    );
    await platform.must("maintenance:on", "-a", "snake");
    await until("it answers 503", waitMs, async () => (await platform.fetch("snake")).status === 503);
    await platform.must("maintenance:off", "-a", "snake");
    await until("it serves again", waitMs, async () => (await platform.fetch("snake")).status === 200);
  },
  limitMs,
);

test(
  "a wrong token exits 77, and no token is shown anywhere",
  async () => {
    const ran = await platform.run(["apps"], { env: { NINES_TOKEN: "wrong" } });
    expect(ran.code).toBe(77);
    expect(ran.stderr).toContain("NINES_TOKEN");
    const token = readFileSync(platform.home.token, "utf8").trim();
    expect((await platform.must("status", "--json")).stdout).not.toContain(token);
  },
  limitMs,
);

test(
  "a viewer's token reads, but no config, and changes nothing; an author stands by name in the history",
  async () => {
    const make = async (name: string, ...role: string[]) =>
      (await platform.must("tokens", "add", name, ...role)).stdout.trim();
    const [anna, ops] = [await make("anna"), await make("ops", "--role", "admin")];
    const as = (token: string, ...args: string[]) => platform.run(args, { env: { NINES_TOKEN: token } });
    // Each controller learns by itself of a token, and of its end.
    for (const token of [anna, ops])
      await platform.everywhere("a token opens", "/v1/apps/hello/ps", ({ status }) => status !== 401, token);
    expect((await as(anna, "ps", "-a", "hello")).code).toBe(0);
    for (const args of [
      ["config", "-a", "hello"],
      ["config:set", "A=1", "-a", "hello"],
      ["run:detached", "-a", "hello", "env"],
      ["scale", "web=1", "-a", "hello"],
      ["tokens", "add", "eve", "--role", "admin"],
    ]) {
      const { code, stderr } = await as(anna, ...args);
      expect([args, code, stderr]).toEqual([
        args,
        77,
        expect.stringContaining('the token "anna" is a viewer\'s'),
      ]);
    }
    const run = await as(anna, "run", "-a", "hello", "echo ran");
    expect([run.code === 0, run.stdout.includes("ran")]).toEqual([false, false]);
    expect((await as(ops, "valves", "set", "api.deploys", "rate=5", "--why", "a test")).code).toBe(0);
    const turned = await until("the valve is turned", waitMs, async () => {
      const all = JSON.parse((await platform.must("valves", "--json")).stdout) as readonly ValveReply[];
      return all.find(({ name }) => name === "api.deploys")?.turned;
    });
    expect(turned.by).toBe("ops");
    await platform.must("valves", "reset", "api.deploys");
    expect(JSON.parse((await platform.must("tokens", "--json")).stdout)).toMatchObject([
      { name: "anna", role: "viewer", by: "admin" },
      { name: "ops", role: "admin", by: "admin" },
    ]);
    await platform.must("tokens", "revoke", "ops");
    await platform.everywhere(
      "a token opens nothing",
      "/v1/apps/hello/ps",
      ({ status }) => status === 401,
      ops,
    );
    expect((await as(ops, "ps", "-a", "hello")).code).toBe(77);
    const again = await platform.nines("tokens", "add", "anna");
    expect([again.code === 0, again.stderr]).toEqual([false, expect.stringContaining("already")]);
    const replicas = ["controller.1", "controller.2"].map((id) =>
      readFileSync(platform.home.replica(id), "latin1"),
    );
    expect(replicas.join("")).not.toContain(anna.slice(-43));
  },
  limitMs,
);

test("a drill of a platform that has apps of its own has to be meant", async () => {
  const { code, stderr } = await platform.nines("drill", "--here");
  expect([code, stderr]).toEqual([64, expect.stringMatching(/hello, snake would be drilled.*\n.*--yes/)]);
});

test(
  "a destroyed app is gone, with all its instances",
  async () => {
    const pids = platform.running("snake").map((one) => one.pid);
    expect((await platform.nines("apps:destroy", "snake")).code).toBe(64);
    await platform.must("apps:destroy", "snake", "--confirm", "snake");
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
    expect((await platform.nines("ps", "-a", "snake")).code).toBe(1);
  },
  limitMs,
);
