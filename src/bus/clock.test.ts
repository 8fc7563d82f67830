/** A wall clock that jumps: what a broker and its clients wait for is measured by another one. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../std/clock.ts";
import { startBroker } from "./broker.ts";
import { startBus } from "./bus.ts";
import { quiet, until } from "./harness.ts";
import { WireClient } from "./wire-client.ts";

const root = mkdtempSync(join(tmpdir(), "nines-bus-clock-"));
afterAll(() => rmSync(root, { recursive: true }));
const dayMs = 86_400_000;

let jumpMs = 0;
const clock: Clock = { ...systemClock, wall: () => new Date(Date.now() + jumpMs) };
const start = (dir?: string) => startBroker({ host: "127.0.0.1", port: 0, dir, clock, log: quiet });

test("set back while the broker was away, it makes a delayed message wait no longer than its own delay", async () => {
  const dir = mkdtempSync(join(root, "b"));
  jumpMs = 0;
  {
    await using broker = await start(dir);
    await using client = await WireClient.greet(broker.port);
    expect(await client.say("DPUB t 300", "later")).toBe("OK");
  }
  jumpMs = -dayMs;
  await using broker = await start(dir);
  await using client = await WireClient.greet(broker.port);
  expect(await client.say("SUB t c")).toBe("OK");
  client.tell("RDY 1");
  expect((await client.message()).body.toString()).toBe("later");
});

test("set forward or back, it neither takes deliveries away early nor keeps them for ever, and no age is negative", async () => {
  jumpMs = 0;
  await using broker = await start();
  await using holder = await WireClient.greet(broker.port, undefined, 3_000);
  expect(await holder.say("PUB t", "x")).toBe("OK");
  expect(await holder.say("SUB t c")).toBe("OK");
  holder.tell("RDY 1");
  const takenAt = performance.now();
  expect((await holder.message()).attempts).toBe(1);
  jumpMs = dayMs;
  await systemClock.sleep(200);
  jumpMs = -dayMs;
  expect(broker.stats().topics[0]?.channels[0]).toMatchObject({ oldestMs: 0, inflight: 1, timedOut: 0 });
  expect((await holder.message()).attempts).toBe(2);
  expect(performance.now() - takenAt).toBeGreaterThan(2_500);
});

test("jumping all the time, it costs no message, no connection and no deadline", async () => {
  jumpMs = 0;
  await using broker = await start(mkdtempSync(join(root, "b")));
  const brokers = async () => [{ id: "broker.1", host: "127.0.0.1", port: broker.port }];
  await using bus = await startBus({ brokers, sender: "a", clock, random: Math.random, log: quiet });
  const heard = new Set<string>();
  const subscription = bus.subscribe("t", "c", ({ n = "" }) => void heard.add(n));
  expect(await subscription.whenJoined(30_000)).toBe(true);
  for (let n = 0; n < 200; n++) {
    jumpMs = [0, dayMs, -dayMs, 365 * dayMs][n % 4] as number;
    await bus.publish("t", { n: String(n) });
  }
  await until("all are heard", () => heard.size === 200);
  expect(bus.state().brokers[0]).toMatchObject({ state: "connected", acked: 200 });
  expect(bus.state()).toMatchObject({ rejected: 0 });
  expect(broker.stats().sessions).toHaveLength(2);
});
