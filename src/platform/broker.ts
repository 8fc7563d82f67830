/** The process of one broker. Brokers do not know each other. */
import { readFileSync } from "node:fs";
import { type Broker, type BrokerOptions, type BrokerTls, startBroker, toAuthorize } from "../bus/bus.ts";
import { NinesError, systemCode, toError } from "../std/errors.ts";
import { topics } from "../wire/messages.ts";
import { measureBroker } from "./broker-measures.ts";
import { portOf, readSecret } from "./home.ts";
import { openReplica } from "./links.ts";
import { measureReplica, startMeasuring } from "./measuring.ts";
import type { Main } from "./part.ts";
import { toShares } from "./shares.ts";

export const broker: Main = async (part) => {
  const { id, config, home, clock, log } = part;
  const secret = readSecret(home);
  // With whom topics are shared it knows from its own copy, when controllers and database are gone too.
  const replica = openReplica(part);
  const shares = toShares(replica);
  const options = {
    host: config.busHost,
    port: portOf(home, id),
    httpPort: 0,
    secret: toAuthorize(secret, shares.of),
    dir: home.broker(id),
    tls: config.busTls && readTls(config.busTls),
    clock,
    log,
  };
  const running = await startSomewhere(options);
  const changes = shares.onChange(() => running.recheck());
  const measuring = startMeasuring(part, async (message) => running.say(topics.metrics, message));
  measureReplica(measuring.registry, replica);
  measureBroker(measuring.registry, id, running);
  return {
    port: running.port,
    internalPort: running.httpPort,
    async stop() {
      changes[Symbol.dispose]();
      await measuring[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
      await replica[Symbol.asyncDispose]();
    },
  };
};

/** Throws `invalid` with the file's name. */
function readTls(files: { readonly cert: string; readonly key: string }): BrokerTls {
  const read = (path: string) => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new NinesError("invalid", `the brokers' TLS: ${toError(error).message}`);
    }
  };
  return { cert: read(files.cert), key: read(files.key) };
}

/** At its usual port, or, when a stranger has taken that, at any other: its file says where. */
async function startSomewhere(options: BrokerOptions): Promise<Broker> {
  try {
    return await startBroker(options);
  } catch (error) {
    if (systemCode(error) !== "EADDRINUSE") throw error;
    options.log.warn("port_in_use", { port: options.port });
    return startBroker({ ...options, port: 0 });
  }
}
