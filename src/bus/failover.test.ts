import { describe, expect, test } from "bun:test";
import type { Bus } from "./bus.ts";
import { connectedCount, type Driver, drivers, startRig, until } from "./harness.ts";

/** Publishes numbered messages one after another until told to stop; records what was acked, and by whom. */
function startLoad(bus: Bus, topic: string) {
  const acked = new Map<string, string>();
  let running = true;
  const done = (async () => {
    for (let n = 0; running; n++) {
      const { brokers } = await bus.publish(topic, { n: String(n) });
      acked.set(String(n), brokers[0] ?? "");
      // Leaves the processor to the brokers; two cores carry all of this.
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  return {
    acked,
    async stop() {
      running = false;
      await done;
    },
  };
}

async function start(topic: string, driver: Driver) {
  const rig = await startRig(3, { driver });
  const [sender, receiver] = [await rig.bus("sender"), await rig.bus("receiver")];
  const heard = new Map<string, number>();
  const subscription = receiver.subscribe(topic, "broadcast", (message) => {
    heard.set(message.n as string, (heard.get(message.n as string) ?? 0) + 1);
  });
  expect(await subscription.whenJoined(30_000)).toBe(true);
  // A broker that has just come is used last: the preferred one is in use after this.
  await until("the brokers have settled", () => sender.state().brokers.every((broker) => broker.upMs > 600));
  return { rig, sender, receiver, subscription, heard };
}

for (const driver of drivers) {
  describe(driver, () => {
    test("a broker killed under load fails no publish, and loses nothing but what only it had", async () => {
      const { rig, sender, receiver, heard } = await start("t#ephemeral", driver);
      await using _ = rig;
      const load = startLoad(sender, "t#ephemeral");
      const victim = rig.preferredBy(sender);
      for (let round = 0; round < 3; round++) {
        const before = load.acked.size;
        await until("load flows", () => load.acked.size > before + 200);
        await victim.kill();
        const at = load.acked.size;
        await until("load flows without it", () => load.acked.size > at + 200);
        await victim.restart(round === 1 ? 0 : undefined);
        await until(
          "both sides use it again",
          () => connectedCount(sender) === 3 && connectedCount(receiver) === 3,
        );
      }
      await load.stop();
      const elsewhere = [...load.acked].filter(([, broker]) => broker !== victim.address.id);
      expect(elsewhere.length).toBeGreaterThan(100);
      await until("what the others had is heard", () => elsewhere.every(([n]) => heard.has(n)));
      expect([...heard.values()].every((count) => count === 1)).toBe(true);
    }, 120_000);

    test("a stopped broker fails no publish, the receiver knows of it, and both use it again when it goes on", async () => {
      const { rig, sender, subscription, heard } = await start("t#ephemeral", driver);
      await using _ = rig;
      const load = startLoad(sender, "t#ephemeral");
      const victim = rig.preferredBy(sender);
      await until("load flows", () => load.acked.size > 200);
      victim.signal("SIGSTOP");
      const at = load.acked.size;
      await until("load flows without it", () => load.acked.size > at + 500);
      const joined = () => subscription.state.brokers.filter((broker) => broker.joined).length;
      await until("the receiver knows", () => joined() === 2);
      victim.signal("SIGCONT");
      await until("both sides use it again", () => connectedCount(sender) === 3 && joined() === 3);
      await load.stop();
      // What JetStream has handed to a connection that broke comes again when its visibility timeout is over.
      const patienceMs = driver === "nats" ? 45_000 : 8_000;
      await until("everything is heard", () => [...load.acked.keys()].every((n) => heard.has(n)), patienceMs);
      expect([...heard.values()].every((count) => count === 1)).toBe(true);
    }, 90_000);

    test("a stopped subscriber slows neither publishers nor other subscribers", async () => {
      const { rig, sender, heard } = await start("t#ephemeral", driver);
      await using _ = rig;
      // A second receiver in this process that never settles anything: its credit is used up at once.
      const stuck = await rig.bus("stuck");
      const subscription = stuck.subscribe("t#ephemeral", "broadcast", () => new Promise<void>(() => {}), {
        credit: 3,
      });
      await subscription.whenJoined(30_000);
      const load = startLoad(sender, "t#ephemeral");
      await until("load flows", () => load.acked.size > 3_000);
      await load.stop();
      await until("the other hears everything", () => heard.size === load.acked.size);
      expect(subscription.state.inflight).toBeLessThanOrEqual(3);
    }, 120_000);

    test("brokers restarted one after another, again and again, fail no publish", async () => {
      const { rig, sender } = await start("t#ephemeral", driver);
      await using _ = rig;
      const load = startLoad(sender, "t#ephemeral");
      for (let round = 0; round < 6; round++) {
        await rig.brokers[round % 3]?.restart(round % 2 === 0 ? undefined : 0);
        await until("it is used again", () => connectedCount(sender) === 3);
      }
      await load.stop();
      expect(sender.state().rejected).toBe(0);
    }, 120_000);
  });
}
