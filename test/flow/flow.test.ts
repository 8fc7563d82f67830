/** Valves of a whole platform: turned while it runs, in force everywhere, and still when all else is gone. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packSdk } from "../../scripts/pack-sdk.ts";
import { toValvePath, type ValveRecord } from "../../src/wire/valve.ts";
import type { ValveChangeReply, ValveReply } from "../../src/wire/valve-api.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { send } from "../send.ts";

const limitMs = 300_000;
const waitMs = 60_000;
let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
  await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
}, 120_000);
afterAll(() => platform[Symbol.asyncDispose](), 120_000);

const set = async (...words: readonly string[]) => {
  const ran = await platform.must("valves", "set", ...words, "--why", "a test", "--wait", "--json");
  return JSON.parse(ran.stdout) as ValveChangeReply;
};
const find = async (name: string) => {
  const all = JSON.parse((await platform.must("valves", "--json")).stdout) as readonly ValveReply[];
  return all.find((valve) => valve.name === name);
};
const status = async () => (await platform.fetch("shop")).status;

test(
  "a turn is in force in every process that has the valve, and says so",
  async () => {
    const routers = (await platform.parts())
      .filter((part) => part.kind === "router")
      .map((part) => part.name);
    const reply = await set("router.requests@shop", "mode=closed");
    expect(reply.applied.map(({ process }) => process)).toEqual(routers);
    expect(reply.waiting).toEqual([]);
    for (let i = 0; i < 10; i++) expect(await status()).toBe(503);
    // Controllers learn of a turn by themselves, and say what they know.
    const turned = await until(
      "it is listed",
      waitMs,
      async () => (await find("router.requests@shop"))?.turned,
    );
    expect(turned).toMatchObject({ why: "a test", by: "admin" } as never);
    await until("status says so", waitMs, async () =>
      (await platform.must("status")).stderr.includes("router.requests@shop"),
    );
    await platform.must("valves", "reset", "router.requests@shop", "--wait");
    for (let i = 0; i < 10; i++) expect(await status()).toBe(200);
  },
  limitMs,
);

test(
  "launches are held while their valve is closed, and made up for when it is not",
  async () => {
    await set("agent.launches", "mode=closed");
    await platform.must("scale", "web=3", "-a", "shop");
    const running = () => platform.running("shop").filter((one) => one.type === "web" && one.state === "up");
    const before = running().length;
    await Bun.sleep(1_500);
    expect(running()).toHaveLength(before);
    await platform.must("valves", "reset", "agent.launches", "--wait");
    await platform.must("ps:wait", "-a", "shop");
    expect(running()).toHaveLength(3);
  },
  limitMs,
);

test(
  "a read-only API refuses changes, by name, and can be opened again",
  async () => {
    await set("api.writes", "mode=closed");
    const ran = await platform.nines("scale", "web=2", "-a", "shop");
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain("api.writes refused it: it is closed");
    expect((await platform.ps("shop")).length).toBeGreaterThan(0);
    await platform.must("valves", "reset", "api.writes", "--wait");
    await platform.must("scale", "web=2", "-a", "shop", "--wait");
  },
  limitMs,
);

test(
  "what is no valve, and no setting, changes nothing and is named",
  async () => {
    for (const [words, says] of [
      [["agent.launches", "rate=-1"], "valve.rate: expected a number from 0"],
      [
        ["agent.launches", "concurrency=5..2"],
        "valve.concurrency: expected a whole number, null, or {min, max}",
      ],
      [["agent.launches", "rat=1"], "did you mean rate?"],
      [["Agent Launches", "rate=1"], "cannot be the name of a valve"],
    ] as const) {
      const ran = await platform.nines("valves", "set", ...words, "--why", "a test");
      expect(ran.code).not.toBe(0);
      expect(ran.stderr).toContain(says);
    }
    expect((await find("agent.launches"))?.turned).toBeNull();
  },
  limitMs,
);

test(
  "a valve that no process reports can be turned in advance, with a warning that names those there are",
  async () => {
    const turn = async (name: string) =>
      (await platform.must("valves", "set", name, "rate=5", "--why", "a test")).stderr;
    const said = await turn("agent.lunches");
    expect(said).toContain(
      "no process reports a valve of this name now (did you mean agent.launches?); known: agent.launches, ",
    );
    await platform.must("valves", "reset", "agent.lunches");
    expect(await turn("router.requests@shop")).toBe("");
    await platform.must("valves", "reset", "router.requests@shop");
  },
  limitMs,
);

test(
  "an app's own valve is turned in every one of its processes, and they say so",
  async () => {
    const archive = await packSdk(platform.folder);
    const folder = platform.app("valved", {
      Procfile: "web: node server.mjs\n",
      "server.mjs": `import { createServer } from "node:http";
      import { connect } from "./sdk/index.js";
      const nines = await connect();
      const valve = nines.valve("work", { concurrency: 10 });
      createServer((_, response) =>
        valve.run(() => response.end("done")).catch((error) => response.writeHead(429).end(error.reason)),
      ).listen(process.env.PORT);`,
    });
    mkdirSync(join(folder, "sdk"));
    execFileSync("tar", ["-xzf", archive, "-C", join(folder, "sdk"), "--strip-components=1"]);
    await platform.must("deploy", folder, "-a", "valved");
    await platform.must("scale", "web=2", "-a", "valved", "--wait");
    await platform.everywhere("both say that they have it", "/v1/valves", async (reply) => {
      const { valves } = (await reply.json()) as { readonly valves: readonly ValveReply[] };
      return valves.find(({ name }) => name === "app.valved.work")?.processes === 2;
    });
    const reply = await set("app.valved.work", "mode=closed");
    expect(reply.applied.map(({ process }) => process)).toEqual(["valved/web.1", "valved/web.2"]);
    expect((await platform.fetch("valved")).status).toBe(429);
    await platform.must("valves", "reset", "app.valved.work", "--wait");
    expect((await platform.fetch("valved")).status).toBe(200);
    await platform.must("apps:destroy", "valved", "--confirm", "valved");
  },
  limitMs,
);

test(
  "it reaches the routers with every broker dead, and stays with the database and the controllers dead",
  async () => {
    const brokers = (await platform.parts())
      .filter((part) => part.kind === "broker")
      .map((part) => part.name);
    for (const name of brokers) await platform.must("part", "stop", name);
    await platform.must("valves", "set", "router.requests@shop", "mode=closed", "--why", "a test");
    await until("the routers turn it away", waitMs, async () => (await status()) === 503);
    // The copies on disk, which their successors begin with, follow a moment later.
    for (const router of ["router.1", "router.2"]) {
      await until(`the copy of ${router} has it`, waitMs, () => {
        const { entries } = JSON.parse(readFileSync(platform.home.replica(router), "utf8")) as {
          readonly entries: readonly (readonly [path: string, value: Partial<ValveRecord>])[];
        };
        const [, record] = entries.find(([path]) => path === toValvePath("router.requests@shop")) ?? [];
        return record?.settings?.mode === "closed";
      });
    }
    const others = ["controller.1", "controller.2", "postgres"];
    for (const name of others) await platform.must("part", "stop", name);
    for (const name of ["router.1", "router.2"]) {
      const before = (await platform.parts()).find((part) => part.name === name)?.pid;
      send(before, "SIGKILL");
      await until(`${name} is back`, waitMs, async () => {
        const now = (await platform.parts()).find((part) => part.name === name);
        return now?.state === "up" && now.pid !== before;
      });
    }
    for (let i = 0; i < 10; i++) expect(await status()).toBe(503);
    for (const name of [...others, ...brokers]) await platform.must("part", "start", name);
    await platform.whole();
    await until("it can be opened again", waitMs, async () => {
      const ran = await platform.nines("valves", "reset", "router.requests@shop");
      return ran.code === 0;
    });
    await until("the app is back", waitMs, async () => (await status()) === 200);
  },
  limitMs,
);
