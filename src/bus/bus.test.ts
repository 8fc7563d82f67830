import { describe, expect, test } from "bun:test";
import { NinesError } from "../std/errors.ts";
import type { Message } from "../wire/messages.ts";
import { newest } from "./bus.ts";
import { connectedCount, drivers, startRig, until } from "./harness.ts";

async function failure(promise: Promise<unknown>): Promise<NinesError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof NinesError) return error;
    throw error;
  }
  throw new Error("it was expected to fail, and did not");
}

for (const driver of drivers) {
  describe(driver, () => {
    test("a broadcast reaches every subscriber once, wherever it was published", async () => {
      await using rig = await startRig(3, { driver });
      const senders = await Promise.all(["a", "b", "c", "d"].map((name) => rig.bus(name)));
      const heard: string[][] = senders.map(() => []);
      for (const [index, bus] of senders.entries()) {
        const subscription = bus.subscribe("news#ephemeral", "broadcast", (message) => {
          heard[index]?.push(message.n as string);
        });
        expect(await subscription.whenJoined(30_000)).toBe(true);
      }
      for (const [index, bus] of senders.entries()) {
        const published = await bus.publish("news#ephemeral", { n: String(index) });
        expect(published.brokers).toHaveLength(1);
      }
      await until("all heard all", () => heard.every((list) => list.length === 4));
      for (const list of heard) expect(list.toSorted()).toEqual(["0", "1", "2", "3"]);
    });

    test("members of one channel share its messages", async () => {
      await using rig = await startRig(2, { driver });
      const [left, right] = [await rig.bus("left"), await rig.bus("right")];
      const counts = { left: 0, right: 0 };
      const first = left.subscribe("work", "group", () => void counts.left++);
      const second = right.subscribe("work", "group", () => void counts.right++);
      expect((await first.whenJoined(30_000)) && (await second.whenJoined(30_000))).toBe(true);
      await Promise.all(Array.from({ length: 200 }, (_, n) => left.publish("work", { n: String(n) })));
      await until("all handled", () => counts.left + counts.right >= 200);
      expect(counts.left + counts.right).toBe(200);
      expect(Math.min(counts.left, counts.right)).toBeGreaterThan(20);
    });

    test("what is published before its first subscriber waits for it", async () => {
      await using rig = await startRig(1, { driver });
      const bus = await rig.bus("a");
      for (let n = 0; n < 10; n++) await bus.publish("early", { n: String(n) });
      const heard: string[] = [];
      bus.subscribe("early", "group", (message) => void heard.push(message.n as string));
      await until("all heard", () => heard.length === 10);
      expect(heard).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    });

    test("a message keeps its keys and gets an id and a sender", async () => {
      await using rig = await startRig(1, { driver });
      const bus = await rig.bus("router.1");
      let heard: Message | undefined;
      const subscription = bus.subscribe("t", "c", (message) => void (heard = message));
      await subscription.whenJoined(30_000);
      const { id } = await bus.publish("t", { text: "größer „als“ \n\0 🚀", empty: "", _seq: "7" });
      await until("heard", () => heard !== undefined);
      expect(heard).toEqual({
        text: "größer „als“ \n\0 🚀",
        empty: "",
        _seq: "7",
        _id: id,
        _src: "router.1",
      });
    });

    test("a handler that throws gets the message again, and after its last attempt it is a dead letter", async () => {
      await using rig = await startRig(1, { driver });
      const bus = await rig.bus("a");
      const attempts: number[] = [];
      const dead: Message[] = [];
      bus.subscribe(
        "t",
        "c",
        (_, delivery) => {
          attempts.push(delivery.attempts);
          delivery.nack(0);
          throw new Error("no");
        },
        { attemptsMax: 3 },
      );
      bus.subscribe("t.dead", "undertaker", (message) => void dead.push(message));
      await bus.publish("t", { n: "1" });
      await until("buried", () => dead.length > 0);
      expect(attempts).toEqual([1, 2, 3]);
      expect(dead[0]).toMatchObject({ n: "1", _topic: "t", _channel: "c", _attempts: "3", _reason: "no" });
    });

    test("no more than its credit is in handlers at once, over all brokers", async () => {
      await using rig = await startRig(3, { driver });
      const buses = await Promise.all(["a", "b", "c", "d", "e", "f"].map((name) => rig.bus(name)));
      let now = 0;
      let most = 0;
      let done = 0;
      const handler = async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        done++;
      };
      await (buses[0] as (typeof buses)[0]).subscribe("t", "c", handler, { credit: 2 }).whenJoined(30_000);
      await Promise.all(buses.flatMap((bus) => Array.from({ length: 20 }, () => bus.publish("t", {}))));
      await until("all done", () => done === 120);
      expect(most).toBe(2);
    });

    test("the same id is handled once, whichever brokers it comes from", async () => {
      await using rig = await startRig(3, { driver });
      const bus = await rig.bus("a");
      const heard: string[] = [];
      const subscription = bus.subscribe("t", "c", (message) => void heard.push(message.n as string));
      await subscription.whenJoined(30_000);
      const { brokers } = await bus.publish("t", { n: "once" }, { redundancy: 3 });
      expect(brokers.toSorted()).toEqual(["broker.1", "broker.2", "broker.3"]);
      await until("all copies came", () => subscription.state.received === 3);
      await bus.publish("t", { n: "end" });
      await until("the end came", () => heard.includes("end"));
      expect(heard).toEqual(["once", "end"]);
    });

    test("an older version of a thing is dropped, a newer one and another thing's are not", async () => {
      await using rig = await startRig(1, { driver });
      const bus = await rig.bus("a");
      const heard: string[] = [];
      const handler = (message: Message) => void heard.push(`${message.agent}${message._seq}`);
      await bus
        .subscribe("t#ephemeral", "broadcast", handler, { filter: newest("agent") })
        .whenJoined(30_000);
      for (const [agent, seq] of ["a2", "a1", "b1", "a2", "a10", "b0"].map((text) => [
        text.slice(0, 1),
        text.slice(1),
      ])) {
        await bus.publish("t#ephemeral", { agent: agent as string, _seq: seq as string });
      }
      await until("all came", () => bus.state().subscriptions[0]?.received === 6);
      expect(heard).toEqual(["a2", "b1", "a10"]);
    });

    test("a message that is expired when it comes is not handled", async () => {
      await using rig = await startRig(1, { driver });
      const bus = await rig.bus("a");
      await bus.publish("t", { n: "old" }, { expiresInMs: 1 });
      await bus.publish("t", { n: "fresh" }, { expiresInMs: 60_000 });
      const heard: string[] = [];
      await new Promise((resolve) => setTimeout(resolve, 5));
      bus.subscribe("t", "c", (message) => void heard.push(message.n as string));
      await until("the fresh one came", () => heard.includes("fresh"));
      expect(heard).toEqual(["fresh"]);
    });

    test("what is no message is refused before it is sent", async () => {
      await using rig = await startRig(1, { driver });
      const bus = await rig.bus("a");
      const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, ""]));
      expect((await failure(bus.publish("t", { big: "x".repeat(1_100_000) }))).code).toBe("too_large");
      expect((await failure(bus.publish("t", many))).code).toBe("too_large");
      expect((await failure(bus.publish("t", { n: 1 } as unknown as Message))).code).toBe("invalid");
      expect((await failure(bus.publish("t", { "": "x" }))).code).toBe("invalid");
      expect((await failure(bus.publish("no such/topic", {}))).code).toBe("invalid");
      await bus.publish("t", { nearly: "x".repeat(1_000_000) });
    });

    test("with every broker dead publish rejects at its deadline, and all resumes when they are back", async () => {
      await using rig = await startRig(2, { driver });
      const bus = await rig.bus("a");
      const heard: string[] = [];
      await bus
        .subscribe("t#ephemeral", "broadcast", (message) => void heard.push(message.n as string))
        .whenJoined(30_000);
      await Promise.all(rig.brokers.map((broker) => broker.kill()));
      expect((await failure(bus.publish("t#ephemeral", { n: "lost" }, { deadlineMs: 300 }))).code).toBe(
        "unavailable",
      );
      // One comes back where it was, the other somewhere else.
      await Promise.all([rig.brokers[0]?.restart(), rig.brokers[1]?.restart(0)]);
      await until("both are used again", () => connectedCount(bus) === 2);
      await until("the subscription too", () =>
        bus.state().subscriptions.every((one) => one.brokers.every((broker) => broker.joined)),
      );
      await bus.publish("t#ephemeral", { n: "back" });
      await until("heard", () => heard.includes("back"));
    });

    test("a bus started before its brokers publishes as soon as one comes", async () => {
      await using rig = await startRig(1, { driver });
      let known: (typeof rig.brokers)[0]["address"][] = [];
      const bus = await rig.bus("a", { brokers: async () => known });
      const published = bus.publish("t", { n: "1" });
      known = rig.brokers.map((broker) => broker.address);
      expect((await published).brokers).toEqual(["broker.1"]);
    });

    test("a list of brokers that cannot be read changes nothing", async () => {
      await using rig = await startRig(1, { driver });
      let reads = 0;
      const bus = await rig.bus("a", {
        brokers: async () => {
          if (reads++ > 0) throw new Error("no list today");
          return rig.brokers.map((broker) => broker.address);
        },
      });
      await bus.publish("t", {});
      await rig.brokers[0]?.restart();
      await bus.publish("t", {});
      await until("it is read again", () => reads > 1);
      await bus.publish("t", {});
    });

    test("a wrong secret is refused, and so is every command without one", async () => {
      await using rig = await startRig(1, { driver });
      const stranger = await rig.bus("stranger", { secret: "a guess" });
      expect((await failure(stranger.publish("t", {}, { deadlineMs: 300 }))).code).toBe("unavailable");
      const refused = () => stranger.state().brokers[0]?.reason.includes("E_AUTH_FAILED") === true;
      await until("it is told why", refused);
      const silent = await rig.bus("silent", { secret: undefined });
      expect((await failure(silent.publish("t", {}, { deadlineMs: 300 }))).code).toBe("unavailable");
      await (await rig.bus("friend")).publish("t", {});
    });
  });
}
