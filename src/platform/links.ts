/** A part's two ways of knowing: its replica of the registry, and its end of the bus. */
import { type Bus, startBus } from "../bus/bus.ts";
import { type Replica, startReplica } from "../registry/registry.ts";
import { brokerAddresses, controllerAddresses } from "./directory.ts";
import { readSecret } from "./home.ts";
import type { Part } from "./part.ts";

/** Reads any controller's feed; starts from the copy on disk. */
export function openReplica({ id, config, home, clock, log }: Part): Replica {
  return startReplica({
    sources: async () =>
      (await controllerAddresses(config, home)).map(({ host, port }) => `http://${host}:${port}`),
    secret: readSecret(home),
    file: home.replica(id),
    clock,
    random: Math.random,
    log,
    fetch: (url, init) => fetch(url, init),
  });
}

export function openBus({ id, config, home, clock, log }: Part): Promise<Bus> {
  return startBus({
    brokers: () => brokerAddresses(config, home),
    secret: readSecret(home),
    sender: id,
    clock,
    random: Math.random,
    log,
  });
}
