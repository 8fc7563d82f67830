/** Two apps of a whole platform, each with the secret that it was given: what one shares, the other may use. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Bus, startBus } from "../../src/bus/bus.ts";
import { quiet } from "../../src/bus/harness.ts";
import { systemClock } from "../../src/std/clock.ts";
import { until } from "../../src/std/until.ts";
import { type Platform, startPlatform } from "../harness.ts";

const limitMs = 180_000;
const waitMs = 60_000;
let platform: Platform;
const ends: Bus[] = [];

beforeAll(async () => {
  platform = await startPlatform();
}, limitMs);
afterAll(async () => {
  for (const end of ends) await end[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
}, limitMs);

/** An end of the bus as an instance of the app would open it. */
async function open(app: string): Promise<Bus> {
  const source = platform.app(app, {
    Procfile: "web: node web.js\n",
    "web.js": `require("http").createServer((_, response) => response.end(JSON.stringify({
      brokers: process.env.NINES_BUS_BROKERS, secret: process.env.NINES_BUS_SECRET }))).listen(process.env.PORT);`,
  });
  await platform.must("deploy", source, "-a", app);
  const { brokers = "", secret } = JSON.parse((await platform.fetch(app)).body) as Record<string, string>;
  const addresses = brokers.split(",").map((one) => {
    const [, id = "", port] = /^(.+)=.+:(\d+)$/.exec(one) ?? [];
    return { id, host: "127.0.0.1", port: Number(port) };
  });
  const end = await startBus({
    brokers: async () => addresses,
    secret,
    sender: `${app}.web.1`,
    clock: systemClock,
    random: Math.random,
    log: quiet,
  });
  ends.push(end);
  return end;
}

test(
  "a topic is closed to another app until it is shared, open while it is, and closed again at once",
  async () => {
    const shop = await open("shop");
    const billing = await open("billing");
    const publish = () =>
      billing.publish("shop.orders", { n: "0" }, { deadlineMs: 30_000 }).then(
        () => "published",
        (error: { code: string }) => error.code,
      );
    expect(await publish()).toBe("forbidden");

    const shared = await platform.must("bus:share", "shop.orders", "--with", "billing");
    expect(shared.stdout).toContain("billing may use shop.orders");
    expect((await platform.must("bus:shares", "-a", "shop", "--json")).stdout.trim()).toBe(
      '[{"topic":"orders","with":["billing"]}]',
    );
    await until("every broker lets it in", waitMs, async () => (await publish()) === "published");

    const heard: string[] = [];
    const subscription = billing.subscribe(
      "shop.orders",
      "billing.worker",
      ({ n = "" }) => void heard.push(n),
    );
    await until("all brokers serve it", waitMs, () => subscription.whenJoined(5_000));
    await shop.publish("shop.orders", { n: "7" });
    await until("the guest heard it", waitMs, async () => heard.includes("7"));

    await platform.must("bus:unshare", "orders", "-a", "shop", "--with", "billing");
    await until("no broker serves it", waitMs, async () =>
      subscription.state.brokers.every(({ joined }) => !joined),
    );
    await until("it may not publish", waitMs, async () => (await publish()) === "forbidden");
    const before = heard.length;
    await shop.publish("shop.orders", { n: "8" });
    // What another subscriber has had by now, the guest would have had too.
    const copies: string[] = [];
    const own = shop.subscribe("shop.orders", "audit", ({ n = "" }) => void copies.push(n));
    await until("its own app hears", waitMs, () => own.whenJoined(5_000));
    await shop.publish("shop.orders", { n: "9" });
    await until("its own app heard", waitMs, async () => copies.includes("9"));
    expect(heard.slice(before)).toEqual([]);
    expect((await platform.must("bus:shares", "-a", "shop")).stderr).toContain("shop shares no topic");
  },
  limitMs,
);

test(
  "refusals name what is wrong",
  async () => {
    const refused = async (...args: readonly string[]) => (await platform.nines(...args)).stderr;
    expect(await refused("bus:share", "shop.orders")).toContain("--with APP names the other app");
    expect(await refused("bus:share", "orders", "--with", "billing")).toContain('whose topic is "orders"?');
    expect(await refused("bus:share", "shop.orders", "--with", "nobody")).toContain('no app "nobody"');
    expect(await refused("bus:share", "shop...", "--with", "billing")).toContain(
      '"shop..." cannot be a topic',
    );
    expect(await refused("bus:share", "shop.a/b", "--with", "billing")).toContain(
      "cannot be a topic of shop",
    );
    expect(await refused("bus:unshare", "shop.orders", "--with", "billing")).toContain(
      "does not share orders",
    );
  },
  limitMs,
);
