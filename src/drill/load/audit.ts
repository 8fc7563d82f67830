/** Hears every message in a channel of its own, and knows from which broker each came: order is per lane and broker. */
import { startBus } from "../../bus/bus.ts";
import { systemClock } from "../../std/clock.ts";
import { createLog } from "../../std/log.ts";
import { work } from "./hand.ts";
import { wallMs } from "./records.ts";

interface Options {
  readonly journal: string;
  readonly topic: string;
  readonly brokers: readonly { readonly id: string; readonly host: string; readonly port: number }[];
}

const joinTimeoutMs = 15_000;

await work<Options>(async ({ options, journal, signal, ready }) => {
  const bus = await startBus({
    brokers: async () => options.brokers,
    secret: process.env.NINES_BUS_SECRET ?? "",
    sender: "drill.audit",
    clock: systemClock,
    random: Math.random,
    log: createLog({}, () => {}),
  });
  const hearing = bus.subscribe(
    options.topic,
    "audit",
    ({ lane = "", n = "", id = "" }, { broker, attempts }) =>
      journal.add({ id: id || `${lane}/${n}`, lane, n: Number(n), broker, attempts, at: wallMs() }),
  );
  await hearing.whenJoined(joinTimeoutMs);
  ready();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await hearing[Symbol.asyncDispose]();
  await bus[Symbol.asyncDispose]();
});
