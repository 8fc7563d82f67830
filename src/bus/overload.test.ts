import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { NinesError } from "../std/errors.ts";
import { connectedCount, secret, startRig, until } from "./harness.ts";

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "ok",
    (error: unknown) => (error instanceof NinesError ? error.code : String(error)),
  );
}

test("a full broker is passed over, and when all are full publish says so at its deadline", async () => {
  await using rig = await startRig(3, { limits: { topicMessagesMax: 5 } });
  const bus = await rig.bus("a");
  for (let n = 0; n < 15; n++) expect(await codeOf(bus.publish("t", { n: String(n) }))).toBe("ok");
  expect(await codeOf(bus.publish("t", {}, { deadlineMs: 200 }))).toBe("overloaded");
  expect(await codeOf(bus.publish("other", {}))).toBe("ok");
  const heard = new Set<string>();
  bus.subscribe("t", "c", (message) => void heard.add(message.n as string));
  expect(await codeOf(bus.publish("t", { n: "15" }))).toBe("ok");
  await until("all are heard", () => heard.size === 16);
});

test("with every broker stopped publishers wait, are refused in time, and go on when one goes on", async () => {
  await using rig = await startRig(2);
  const bus = await rig.bus("a");
  await until("connected", () => connectedCount(bus) === 2);
  for (const broker of rig.brokers) broker.signal("SIGSTOP");
  const many = Array.from({ length: 13_000 }, () =>
    codeOf(bus.publish("t#ephemeral", {}, { deadlineMs: 600 })),
  );
  const state = bus.state();
  expect(state.inflight).toBeLessThanOrEqual(2_000);
  expect(state.waiting).toBeLessThanOrEqual(10_000);
  const codes = await Promise.all(many);
  expect(new Set(codes)).toEqual(new Set(["overloaded", "unavailable"]));
  const patient = bus.publish("t#ephemeral", { n: "patient" }, { deadlineMs: 30_000 });
  rig.brokers[0]?.signal("SIGCONT");
  expect((await patient).brokers).toEqual(["broker.1"]);
  rig.brokers[1]?.signal("SIGCONT");
});

test("redundancy that cannot be had holds up nobody else, and fails at its deadline", async () => {
  await using rig = await startRig(1);
  const bus = await rig.bus("a");
  const two = codeOf(bus.publish("t", {}, { redundancy: 2, deadlineMs: 300 }));
  expect(await codeOf(bus.publish("t", {}))).toBe("ok");
  expect(await two).toBe("unavailable");
});

test("a handler that throws anything, a filter that throws and a hook that throws end nothing", async () => {
  await using rig = await startRig(1);
  const bus = await rig.bus("a");
  let joined = 0;
  const options = {
    onJoined: () => {
      if (joined++ === 0) throw new Error("a hook");
    },
    filter: (message: Readonly<Record<string, string>>) => {
      if (message.n === "0") throw new Error("a filter");
      return true;
    },
  };
  const heard: string[] = [];
  const subscription = bus.subscribe(
    "t#ephemeral",
    "broadcast",
    (message) => {
      heard.push(message.n as string);
      if (message.n === "1") throw undefined;
      if (message.n === "2") return Promise.reject("a text");
    },
    options,
  );
  await until("it has joined twice", () => joined === 2);
  expect(await subscription.whenJoined(30_000)).toBe(true);
  for (const n of ["0", "1", "2", "3"]) await bus.publish("t#ephemeral", { n });
  await until("the last is heard", () => heard.includes("3"));
  expect(heard.slice(0, 3)).toEqual(["1", "2", "3"]);
});

test("what a killed subscriber held is handled by another", async () => {
  await using rig = await startRig(2);
  const bus = await rig.bus("a");
  const script = `
    import { systemClock } from "${import.meta.dir}/../std/clock.ts";
    import { createLog } from "${import.meta.dir}/../std/log.ts";
    import { startBus } from "${import.meta.dir}/bus.ts";
    const brokers = async () => JSON.parse(process.env.BROKERS);
    const common = { clock: systemClock, random: Math.random, log: createLog({}) };
    const bus = await startBus({ brokers, secret: process.env.BUS_SECRET, sender: "victim", ...common });
    let held = 0;
    bus.subscribe("t", "c", () => (++held === 20 ? console.log("full") : undefined, new Promise(() => {})), { credit: 20 });
  `;
  const addresses = JSON.stringify(rig.brokers.map((broker) => broker.address));
  const victim = spawn(process.execPath, ["-e", script], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, BROKERS: addresses, BUS_SECRET: secret },
  });
  let full = false;
  victim.stdout.on("data", () => (full = true));
  for (let n = 0; n < 20; n++) await bus.publish("t", { n: String(n) }, { redundancy: 2 });
  for (let n = 20; n < 60 && !full; n++) await bus.publish("t", { n: String(n) });
  await until("it holds all it may", () => full);
  const heard = new Map<string, number>();
  const handler = (message: Readonly<Record<string, string>>) => {
    const n = message.n as string;
    heard.set(n, (heard.get(n) ?? 0) + 1);
  };
  await bus.subscribe("t", "c", handler).whenJoined(30_000);
  victim.kill("SIGKILL");
  await until("all are handled", () => [...Array(20).keys()].every((n) => heard.has(String(n))));
  expect([...heard.values()].every((count) => count === 1)).toBe(true);
}, 120_000);
