/** One end of the bus for bench/bus.ts: publishes so many messages, or handles so many; in a process of its own. */
import { startBus } from "../src/bus/bus.ts";
import { systemClock } from "../src/std/clock.ts";
import { createLog } from "../src/std/log.ts";
import { benchBody, publishAll } from "./bus-window.ts";

const { ROLE, PORT, COUNT, LEVEL } = process.env;
const count = Number(COUNT);
const bus = await startBus({
  brokers: async () => [{ id: "broker.1", host: "127.0.0.1", port: Number(PORT) }],
  sender: ROLE ?? "bench",
  ackLevel: LEVEL === "disk" ? "disk" : "os",
  clock: systemClock,
  random: Math.random,
  log: createLog({}, () => {}),
});
if (ROLE === "subscriber") {
  let handled = 0;
  const handler = () => {
    if (++handled === count) setImmediate(() => console.log("done"));
  };
  const subscription = bus.subscribe("bench", "all", handler, { credit: 2_000 });
  await subscription.whenJoined(5_000);
  console.log("ready");
} else {
  await bus.publish("bench.warm", benchBody);
  console.log("ready");
  for await (const _ of console) break;
  await publishAll(() => bus.publish("bench", benchBody, { deadlineMs: 60_000 }));
}
