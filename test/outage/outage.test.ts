/**
 * PostgreSQL and both controllers kept down: what is known goes on being served, crashed instances restart,
 * a restarted router and a restarted agent work from disk, and readers are told how old the answer is.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Load, startLoad } from "../../src/drill/load/load.ts";
import { identify } from "../../src/os/proc.ts";
import type { Instance } from "../../src/wire/messages.ts";
import type { PartStatus } from "../../src/wire/part.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { send } from "../send.ts";

const limitMs = 240_000;
const waitMs = 60_000;
const away = ["controller.1", "controller.2", "postgres"] as const;
let platform: Platform;
let load: Load;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
  await platform.must("scale", "web=3", "worker=0", "-a", "shop", "--wait");
  load = await startLoad({ port: platform.port, app: "shop", rate: 100, sockets: 2 });
}, limitMs);

afterAll(async () => {
  await load?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

test(
  "with PostgreSQL alone down, reads answer and say how old they are, and writes fail at once",
  async () => {
    await platform.must("part", "stop", "postgres");
    const token = readFileSync(platform.home.token, "utf8").trim();
    const url = `http://127.0.0.1:${platform.apiPort}/v1/apps/shop`;
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    // Each controller sees by itself that the database is gone.
    await platform.everywhere(
      "a read says how old it is",
      "/v1/apps/shop",
      (reply) => reply.status === 200 && Number(reply.headers.get("nines-stale-ms")) > 0,
    );
    const reply = await fetch(`${url}/config`, {
      method: "PATCH",
      headers,
      body: JSON.stringify({ config: { A: "1" } }),
    });
    expect(reply.status).toBe(503);
    expect(await reply.json()).toMatchObject({ code: "unavailable" });
    const ran = await platform.nines("config:set", "A=1", "-a", "shop");
    expect(ran.code).toBe(69);
    expect(ran.stderr).toContain("database");
    expect((await load.take()).failures).toEqual([]);
  },
  limitMs,
);

test(
  "with the database and the controllers down, every request is served",
  async () => {
    for (const part of ["controller.1", "controller.2"]) await platform.must("part", "stop", part);
    await load.take();
    const failures: unknown[] = [];
    let requests = 0;
    await until("there were many", waitMs, async () => {
      await Bun.sleep(1_000);
      const summary = await load.take();
      failures.push(...summary.failures);
      requests += summary.requests;
      return requests > 100;
    });
    expect(failures).toEqual([]);
  },
  limitMs,
);

test(
  "ps answers and says how old its knowledge is",
  async () => {
    const ran = await platform.nines("ps", "-a", "shop");
    expect(ran.stdout + ran.stderr).toMatch(/ago|old|stale/);
    expect(ran.stdout).toContain("web.1");
    expect((await platform.ps("shop")).filter((one) => one.state === "up")).toHaveLength(3);
  },
  limitMs,
);

test(
  "a write fails at once and says why",
  async () => {
    const ran = await platform.nines("config:set", "A=1", "-a", "shop");
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(/controller|database|not answer|unavailable|not running/i);
  },
  limitMs,
);

test(
  "a crashed instance is replaced",
  async () => {
    const [victim] = (await table()).filter((one) => one.type === "web");
    send(victim?.pid, "SIGKILL");
    await until("three instances are up again", waitMs, async () => {
      const now = (await table()).filter((one) => one.state === "up" && identify(one.pid) !== undefined);
      return now.length === 3 && !now.some((one) => one.pid === victim?.pid);
    });
    const summary = await load.take();
    expect(summary.failures.filter((failure) => failure.kind.startsWith("get"))).toEqual([]);
  },
  limitMs,
);

test(
  "restarted routers serve from disk",
  async () => {
    for (const id of ["router.1", "router.2"]) {
      await replace(id, "SIGKILL");
      await load.take();
      await Bun.sleep(1_000);
      expect((await load.take()).failures).toEqual([]);
    }
  },
  limitMs,
);

test(
  "a restarted agent goes on from disk, and no instance is restarted",
  async () => {
    const before = await table();
    await replace("agent", "SIGKILL");
    await Bun.sleep(1_500);
    const after = await until("the agent's table is whole", waitMs, async () => {
      const now = await table();
      return now.length === before.length ? now : undefined;
    });
    expect(after.map((one) => one.pid).toSorted()).toEqual(before.map((one) => one.pid).toSorted());
    expect((await load.take()).failures).toEqual([]);
    const [victim] = after;
    send(victim?.pid, "SIGKILL");
    await until("the successor replaces a crashed instance, too", waitMs, async () => {
      const now = (await table()).filter((one) => one.state === "up" && identify(one.pid) !== undefined);
      return now.length === 3 && !now.some((one) => one.pid === victim?.pid);
    });
  },
  limitMs,
);

test(
  "when they are back, changes are taken again and nothing was lost",
  async () => {
    for (const part of [...away].reverse()) await platform.must("part", "start", part);
    await platform.whole();
    await load.take();
    // Who has just started may not have reached the database yet, and says so.
    await until("a change is taken", waitMs, async () => {
      return (await platform.nines("config:set", "COLOUR=blue", "-a", "shop")).code === 0;
    });
    expect((await platform.fetch("shop")).body).toContain("colour=blue");
    expect((await load.take()).failures).toEqual([]);
  },
  limitMs,
);

/** Instances as the agent's own table has them: what is left to read when nothing else answers. */
async function table(): Promise<readonly Instance[]> {
  return await platform.ps("shop");
}

async function replace(id: string, signal: NodeJS.Signals): Promise<PartStatus> {
  const before = (await platform.parts()).find((part) => part.name === id);
  send(before?.pid, signal);
  return await until(`${id} is back`, waitMs, async () => {
    const now = (await platform.parts()).find((part) => part.name === id);
    return now?.state === "up" && now.pid !== before?.pid ? now : undefined;
  });
}
