/** Where the other parts are: as their files say, read again at each connection. */

import type { Home } from "../wire/home.ts";
import type { Config } from "./config.ts";
import { livingPart } from "./kernel-client.ts";

export interface PartAddress {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** The brokers that live now; each at its own port. */
export async function brokerAddresses(config: Config, home: Home): Promise<readonly PartAddress[]> {
  return addresses(home, "broker", config.brokers, "port");
}

/** The feeds of the controllers that live now. */
export async function controllerAddresses(config: Config, home: Home): Promise<readonly PartAddress[]> {
  return addresses(home, "controller", config.controllers, "internalPort");
}

function addresses(home: Home, kind: string, count: number, which: "port" | "internalPort"): PartAddress[] {
  const ids = Array.from({ length: count }, (_, i) => `${kind}.${i + 1}`);
  return ids.flatMap((id) => {
    const port = livingPart(home, id)?.[which];
    return port === undefined ? [] : [{ id, host: "127.0.0.1", port }];
  });
}
