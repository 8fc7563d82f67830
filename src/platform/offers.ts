/** What an app is told of the platform: where its brokers and controllers are, and credentials that are its own. */

import { toCredential } from "../wire/credential.ts";
import type { Home } from "../wire/home.ts";
import type { Config } from "./config.ts";
import { groundOf, portOf, readSecret } from "./home.ts";
import { livingPart } from "./kernel-client.ts";

export function toOffers(config: Config, home: Home, app: string): Readonly<Record<string, string>> {
  const secret = readSecret(home);
  // One that is away now comes back at its usual port.
  const places = (kind: string, count: number, which: "port" | "internalPort") =>
    Array.from({ length: count }, (_, index) => {
      const id = `${kind}.${index + 1}`;
      return { id, address: `127.0.0.1:${livingPart(home, id)?.[which] ?? portOf(home, id)}` };
    });
  const brokers = places("broker", config.brokers, "port");
  const controllers = places("controller", config.controllers, "internalPort");
  return {
    NINES_BUS_BROKERS: brokers.map(({ id, address }) => `${id}=${address}`).join(","),
    NINES_BUS_SECRET: toCredential(secret, "bus", app),
    NINES_API: controllers.map(({ address }) => `http://${address}`).join(","),
    NINES_API_TOKEN: toCredential(secret, "api", app),
    // What OpenFeature's clients read; an app that has flags elsewhere sets its own.
    OFREP_ENDPOINT: `http://${toHost(config.host)}:${portOf(home, "api")}`,
    OFREP_HEADERS: `Authorization=${encodeURIComponent(`Bearer ${toCredential(secret, "flags", app)}`)}`,
    FLAGD_RESOLVER: "in-process",
    FLAGD_OFFLINE_FLAG_SOURCE_PATH: groundOf(home).flags,
    NINES_VALVES: groundOf(home).valves,
  };
}

function toHost(host: string): string {
  if (["0.0.0.0", "::", ""].includes(host)) return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
