/**
 * `examples/shop` under load, as an app has it: its payment service is killed and stays away for a while (ten
 * seconds, two minutes in the long form). Every order is accepted, every payment is made once, and the catalogue
 * answers from stale copies and says so.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Platform, startPlatform, until } from "../harness.ts";
import { times } from "../length.ts";
import { send } from "../send.ts";

const outageMs = times(10_000, 120_000);
const patienceMs = 90_000;
const everyMs = times(100, 25);
const app = "shop";
let platform: Platform;
let ledger: string;

beforeAll(async () => {
  platform = await startPlatform();
  const source = join(platform.folder, "app");
  cpSync(join(import.meta.dir, "../../examples/shop"), source, { recursive: true });
  await platform.must("sdk", source);
  const shared = join(platform.folder, "ledger");
  mkdirSync(shared);
  // The app's processes are users of their own.
  chmodSync(shared, 0o777);
  ledger = join(shared, "charges.jsonl");
  await platform.must("deploy", source, "-a", app);
  await platform.must("config:set", `LEDGER=${ledger}`, "-a", app);
}, 300_000);
afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
}, 120_000);

interface Catalogue {
  readonly prices: Readonly<Record<string, number>>;
  readonly source: "live" | "cache" | "stale" | "default";
  readonly ageMs: number;
}

async function readCatalogue(): Promise<Catalogue> {
  const reply = await platform.fetch(app, { path: "/catalogue" });
  if (reply.status !== 200) throw new Error(`the catalogue answered ${reply.status}: ${reply.body}`);
  return JSON.parse(reply.body) as Catalogue;
}

/** How often each order was charged. */
function readCharges(): ReadonlyMap<string, number> {
  const charges = new Map<string, number>();
  for (const line of readFileSync(ledger, "utf8").split("\n")) {
    if (line.trim() === "") continue;
    const { order } = JSON.parse(line) as { order: string };
    charges.set(order, (charges.get(order) ?? 0) + 1);
  }
  return charges;
}

async function payments(): Promise<{ pid: number; state: string } | undefined> {
  return (await platform.ps(app)).find(({ type, state }) => type === "payments" && state === "up");
}

test(
  "with its payment service away the shop sells on, and every payment is made once",
  async () => {
    await until("prices are live", patienceMs, async () => (await readCatalogue()).source === "live");

    const accepted: string[] = [];
    const refused: string[] = [];
    const sources = new Map<string, number>();
    let oldestMs = 0;
    let selling = true;
    const sell = async () => {
      for (let n = 0; selling; n++) {
        const order = `order-${n}`;
        const reply = await platform.fetch(app, {
          method: "POST",
          path: "/orders",
          headers: { "Idempotency-Key": order, "Content-Type": "application/json" },
          body: JSON.stringify({ item: ["apples", "pears", "plums"][n % 3] }),
        });
        if (reply.status === 202) accepted.push(order);
        else refused.push(`${order}: ${reply.status} ${reply.body}`);
        await Bun.sleep(everyMs);
      }
    };
    const look = async () => {
      while (selling) {
        const { source, ageMs, prices } = await readCatalogue();
        sources.set(source, (sources.get(source) ?? 0) + 1);
        if (source === "stale") oldestMs = Math.max(oldestMs, ageMs);
        expect(prices.apples).toBe(3);
        await Bun.sleep(everyMs);
      }
    };
    const load = [sell(), look()];

    await until("some are paid", patienceMs, () => readCharges().size > 10);
    // Killed in the midst of its work, then gone for good.
    send((await payments())?.pid, "SIGKILL");
    // With --wait: one that is being stopped may still end what it has begun.
    await platform.must("scale", "payments=0", "-a", app, "--wait");
    await until("it is gone", patienceMs, async () => (await payments()) === undefined);
    const paidBefore = readCharges().size;
    const soldBefore = accepted.length;
    await until("the catalogue says that it is old", patienceMs, () => oldestMs > 500);
    await Bun.sleep(outageMs);
    await until("it sold meanwhile", patienceMs, () => accepted.length > soldBefore + 10);
    expect(readCharges().size).toBe(paidBefore);
    const waited = accepted.length - paidBefore;

    await platform.must("scale", "payments=1", "-a", app, "--wait");
    await until("prices are live again", patienceMs, async () => (await readCatalogue()).source === "live");
    await Bun.sleep(1_000);
    selling = false;
    await Promise.all(load);

    expect(refused).toEqual([]);
    const charges = await until("all is paid", patienceMs, () => {
      const made = readCharges();
      return accepted.every((order) => made.has(order)) && made;
    });
    expect([...charges].filter(([, count]) => count !== 1)).toEqual([]);
    expect(charges.size).toBe(accepted.length);
    expect(sources.get("default") ?? 0).toBe(0);
    expect(sources.get("stale") ?? 0).toBeGreaterThan(0);
    console.log(
      `${accepted.length} orders, all accepted and paid once; ${waited} waited while payments was away; the ` +
        `catalogue: ${[...sources].map(([source, count]) => `${source} ${count}`).join(", ")}; the oldest copy ` +
        `${Math.round(oldestMs)} ms`,
    );

    const sold = await until("all is counted", patienceMs, async () => {
      const reply = await platform.fetch(app, { path: "/sold" });
      const counts = Object.values(JSON.parse(reply.body) as Record<string, number>);
      const total = counts.reduce((sum, count) => sum + count, 0);
      return total >= accepted.length && total;
    });
    expect(sold).toBeGreaterThanOrEqual(accepted.length);
  },
  outageMs + 10 * patienceMs,
);
