/**
 * Deploys, config changes, rollbacks and rescalings under load, one after another: no request fails, and
 * WebSockets get the drain window. NINES_TEST=short makes fewer; the long form is 50, 50, 20 and 20.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Load, type Summary, startLoad, wallMs } from "../../src/drill/load/load.ts";
import { writeApp } from "../apps.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { times } from "../length.ts";

const limitMs = 1_800_000;
/** As fixtures/shop/nines.yaml has it. */
const drainTimeoutMs = 5_000;
let platform: Platform;
let load: Load;
let source: string;
let deploys = 0;

beforeAll(async () => {
  platform = await startPlatform();
  source = platform.fixture("shop");
  await platform.must("deploy", source, "-a", "shop");
  await platform.must("scale", "web=2", "worker=0", "-a", "shop", "--wait");
  load = await startLoad({ port: platform.port, app: "shop", rate: 150, path: "/?ms=10" });
}, 300_000);

afterAll(async () => {
  await load?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
}, 300_000);

test(
  "deploys fail no request, and each is live when it says so",
  async () => {
    await load.take();
    for (let i = 0; i < times(4, 50); i++) {
      await deploy();
      expect((await platform.fetch("shop")).body).toContain(`build=mark-${deploys}`);
    }
    account("deploys", await load.take());
  },
  limitMs,
);

test(
  "config changes fail no request, and each is live when it says so",
  async () => {
    await load.take();
    for (let i = 0; i < times(4, 50); i++) {
      await platform.must("config:set", `COLOUR=shade-${i}`, "-a", "shop");
      expect((await platform.fetch("shop")).body).toContain(`colour=shade-${i}`);
    }
    account("config changes", await load.take());
  },
  limitMs,
);

test(
  "rollbacks fail no request, and bring back build and config",
  async () => {
    await load.take();
    for (let i = 0; i < times(2, 20); i++) {
      const [what] = /build=\S+ colour=\S*/.exec((await platform.fetch("shop")).body) ?? [];
      await deploy();
      await platform.must("rollback", "-a", "shop");
      const { body } = await platform.fetch("shop");
      expect(body).toContain(what ?? "none");
    }
    account("rollbacks", await load.take());
  },
  limitMs,
);

test(
  "rescalings fail no request",
  async () => {
    await load.take();
    for (let i = 0; i < times(4, 20); i++) {
      const web = 1 + ((i * 2) % 5);
      await platform.must("scale", `web=${web}`, "-a", "shop", "--wait");
      expect(platform.running("shop").filter((one) => one.state === "up")).toHaveLength(web);
    }
    await platform.must("scale", "web=2", "-a", "shop", "--wait");
    account("rescalings", await load.take());
  },
  limitMs,
);

test(
  "WebSockets get the drain window of a deploy",
  async () => {
    await using sockets = await startLoad({
      port: platform.port,
      app: "shop",
      rate: 1,
      mix: { get_new: 1 },
      sockets: 3,
    });
    await until("three sockets are open", 60_000, async () => (await sockets.take()).sockets.open === 3);
    const startedAt = wallMs();
    await deploy();
    const liveAt = wallMs();
    const { sockets: seen } = await until(
      "the old sockets were closed",
      drainTimeoutMs + 60_000,
      async () => {
        const summary = await sockets.take();
        cuts.push(...summary.sockets.cuts);
        return cuts.length >= 3 ? summary : undefined;
      },
    );
    expect(seen.open).toBeGreaterThanOrEqual(0);
    // They were there before, stayed past the switch, and the instance itself said goodbye (1001).
    for (const cut of cuts) {
      expect(cut.openedAt).toBeLessThan(startedAt);
      expect(cut.closedAt).toBeGreaterThan(liveAt - drainTimeoutMs);
      expect(cut.code).toBe(1001);
    }
    await until("they are connected again", 60_000, async () => (await sockets.take()).sockets.open === 3);
  },
  limitMs,
);

test(
  "an instance that is slow to answer finishes its answers before it is stopped",
  async () => {
    const slow = Array.from({ length: 10 }, () => platform.fetch("shop", { path: "/?ms=2000" }));
    await Bun.sleep(200);
    await platform.must("restart", "-a", "shop");
    const statuses = (await Promise.all(slow)).map((reply) => reply.status);
    expect(statuses).toEqual(slow.map(() => 200));
  },
  limitMs,
);

const cuts: Summary["sockets"]["cuts"][number][] = [];

async function deploy(): Promise<void> {
  deploys++;
  writeApp(source, { "mark.json": JSON.stringify(`mark-${deploys}`) });
  await platform.must("deploy", source, "-a", "shop");
}

function account(what: string, summary: Summary): void {
  console.log(
    `${what}: ${summary.requests} requests, ${summary.failures.length} failed, p50 ${summary.p50Ms.toFixed(1)} ms, p99 ${summary.p99Ms.toFixed(1)} ms`,
  );
  expect(summary.failures).toEqual([]);
  expect(summary.requests).toBeGreaterThan(0);
}
