/** `nines bus` and its commands, and what an app is given of the bus, on a whole platform. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../../src/std/until.ts";
import { type Platform, startPlatform } from "../harness.ts";

const limitMs = 120_000;
let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
}, limitMs);
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
}, limitMs);

interface Seen {
  readonly brokers: readonly { readonly id: string; readonly state: string }[];
  readonly topics: readonly {
    readonly topic: string;
    readonly channel: string;
    readonly depth: number;
    readonly oldestMs: number;
  }[];
}

async function look(...flags: readonly string[]): Promise<Seen> {
  return JSON.parse((await platform.must("bus", "--json", ...flags)).stdout) as Seen;
}

test(
  "what is published waits, is seen with its age, and is taken out by drain",
  async () => {
    for (const n of ["1", "2"]) await platform.must("bus:publish", "shop.orders", `n=${n}`, "kind=order");
    const seen = await look();
    expect(seen.brokers.map(({ id, state }) => `${id} ${state}`)).toEqual([
      "broker.1 up",
      "broker.2 up",
      "broker.3 up",
    ]);
    expect(seen.topics).toMatchObject([{ topic: "shop.orders", channel: "-", depth: 2 }]);
    expect(seen.topics[0]?.oldestMs).toBeGreaterThan(0);
    const none = await platform.nines("bus:drain", "shop.orders", "worker");
    expect(none.stderr).toContain("no broker has a channel worker of shop.orders");
    expect((await look("--all")).topics.map(({ topic }) => topic)).toContain("nines.instances#ephemeral");
  },
  limitMs,
);

test(
  "dead letters are published again, once",
  async () => {
    await platform.must("bus:publish", "shop.mail.dead", "n=7", "_topic=shop.mail", "_reason=no");
    expect((await platform.must("bus:replay", "shop.mail")).stdout).toContain("1 dead letters");
    expect((await platform.must("bus:replay", "shop.mail")).stdout).toContain("0 dead letters");
    expect((await look()).topics).toContainEqual(expect.objectContaining({ topic: "shop.mail", depth: 1 }));
  },
  limitMs,
);

test(
  "a broker that is away is shown as such, and the others serve",
  async () => {
    await platform.must("part", "stop", "broker.2");
    const away = await until("it is away", 60_000, async () =>
      (await look()).brokers.find(({ id, state }) => id === "broker.2" && state === "away"),
    );
    expect(away.id).toBe("broker.2");
    await platform.must("bus:publish", "shop.orders", "n=3");
    await platform.must("part", "start", "broker.2");
  },
  limitMs,
);

test(
  "an app's instances know the brokers, and a secret that opens nothing of the platform",
  async () => {
    const source = platform.app("quiet", {
      Procfile: "web: node web.js\n",
      "web.js": `require("http").createServer((_, response) => response.end(JSON.stringify({
        brokers: process.env.NINES_BUS_BROKERS, secret: process.env.NINES_BUS_SECRET }))).listen(process.env.PORT);`,
    });
    await platform.must("deploy", source, "-a", "quiet");
    const { brokers, secret } = JSON.parse((await platform.fetch("quiet")).body) as Record<string, string>;
    expect(brokers?.split(",")).toHaveLength(3);
    expect(secret).toMatch(/^quiet\.[0-9a-f]{64}$/);
  },
  limitMs,
);
