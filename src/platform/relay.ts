/**
 * The process of one relay: delivers buffered writes. It needs the database and nothing else, which has the
 * writes, the targets and the leases: no feed, no copy, and the bus only for targets that are on it, and to say
 * there how it does.
 */
import { createBusSender, createHttpSender, type Sender, startRelay } from "../buffer/buffer.ts";
import type { Registry } from "../metrics/metrics.ts";
import { openStore } from "../store/store.ts";
import { databaseUrl } from "./database-url.ts";
import { portOf } from "./home.ts";
import { openBus } from "./links.ts";
import { withMail } from "./mail-sender.ts";
import { startMeasuring, toBusPublish } from "./measuring.ts";
import type { Main } from "./part.ts";

export const relay: Main = async (part) => {
  const { id, config, home, clock, log } = part;
  const random = Math.random;
  const store = openStore({ url: databaseUrl(config, home), clock, log, random, name: id });
  const host = ["0.0.0.0", "::", ""].includes(config.host) ? "127.0.0.1" : config.host;
  const bus = await openBus(part);
  const measuring = startMeasuring(part, toBusPublish(bus));
  const overBus = createBusSender({ bus, clock });
  const overHttp = createHttpSender({
    fetch: (url, init) => fetch(url, init),
    clock,
    routers: () => `http://${host.includes(":") ? `[${host}]` : host}:${portOf(home, "router")}`,
  });
  const sender: Sender = (write, signal) =>
    /^(bus|handler):/.test(write.record.url) ? overBus(write, signal) : overHttp(write, signal);
  const send = measured(withMail(sender), measuring.registry, () => clock.now());
  const holder = `${id}/${crypto.randomUUID()}`;
  const running = startRelay({ store: store.relays, send, holder, clock, log, random });
  return {
    stop: async () => {
      await running[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await measuring[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
    },
  };
};

/** Counts what became of each try, and how long it took. */
function measured(send: Sender, registry: Registry, now: () => number): Sender {
  return async (delivery, signal) => {
    const startedAt = now();
    const outcome = await send(delivery, signal);
    const { target } = delivery;
    registry.counter("buffer.tries", { target, outcome: outcome.kind }).add();
    registry.histogram("buffer.try_ms", { target }).record(now() - startedAt);
    return outcome;
  };
}
