/** What runs: asked of a controller, or, when none answers, read from the table that the agent keeps. */
import { NinesError } from "../std/errors.ts";
import { readJson } from "../std/file.ts";
import type { InstancesReply } from "../wire/api.ts";
import type { Home } from "../wire/home.ts";
import { type Instance, toInstance } from "../wire/messages.ts";
import { type Client, path } from "./client.ts";

/** A reader has something else to go by, so it does not wait long for a controller. */
const readPatienceMs = 500;
const readTimeoutMs = 3_000;

export type Instances =
  | { readonly from: "controller"; readonly staleMs: number; readonly instances: readonly Instance[] }
  | { readonly from: "table"; readonly staleMs: number; readonly instances: readonly Instance[] };

/** The instances of one app, or of all. */
export async function readInstances(
  client: Client,
  home: Home,
  app: string | undefined,
  now: () => number = Date.now,
): Promise<Instances> {
  try {
    return { from: "controller", ...(await askInstances(client, app)) };
  } catch (error) {
    if (!(error instanceof NinesError) || !error.retryable) throw error;
    const table = readTable(home);
    if (table === undefined) throw error;
    return {
      from: "table",
      staleMs: Math.max(0, now() - table.at),
      instances: table.instances.filter((instance) => app === undefined || instance.app === app),
    };
  }
}

/** As the controllers know them; throws when none answers. */
export async function askInstances(client: Client, app: string | undefined): Promise<InstancesReply> {
  const ask = { patienceMs: readPatienceMs, timeoutMs: readTimeoutMs };
  return await client.json<InstancesReply>(app === undefined ? "/v1/ps" : path`/v1/apps/${app}/ps`, ask);
}

function readTable(home: Home): { at: number; instances: readonly Instance[] } | undefined {
  const stored = readJson(home.agentTable);
  if (stored.kind !== "value") return undefined;
  const { at, instances } = (stored.value ?? {}) as { at?: unknown; instances?: unknown };
  if (!Array.isArray(instances)) return undefined;
  const written = typeof at === "string" ? Date.parse(at) : Number(at);
  try {
    return { at: Number.isFinite(written) ? written : 0, instances: instances.map(toInstance) };
  } catch {
    return undefined; // Written by another version, or damaged.
  }
}
