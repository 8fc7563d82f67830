/** Asks the kernel over its socket; and reads what it left behind when it does not answer. */
import { isAlive } from "../os/proc.ts";
import { NinesError } from "../std/errors.ts";
import { readJson } from "../std/file.ts";
import type { Home } from "../wire/home.ts";
import { type PartFile, type PartStatus, parsePartFile } from "../wire/part.ts";

export const kernelTimeoutMs = 1_000;
/** Of a command that waits for its turn, and for a part that drains. */
const commandTimeoutMs = 150_000;

/** The part file of a part that lives; undefined when it is not running. */
export function livingPart(home: Home, id: string): PartFile | undefined {
  const stored = readJson(home.partFile(id));
  if (stored.kind !== "value") return undefined;
  try {
    const part = parsePartFile(stored.value);
    return isAlive(part) ? part : undefined;
  } catch {
    return undefined;
  }
}

/** The parts as the kernel sees them; throws `unavailable` when it does not answer. */
export async function askParts(home: Home): Promise<readonly PartStatus[]> {
  return (await call(home, "GET", "/parts")) as PartStatus[];
}

export async function commandPart(home: Home, id: string, verb: "stop" | "start" | "restart"): Promise<void> {
  await call(home, "POST", `/parts/${id}/${verb}`);
}

/** Has it start what it has held back so that the first request is served sooner. */
export async function askRest(home: Home): Promise<void> {
  await call(home, "POST", "/rest");
}

/** Begins the orderly shutdown. */
export async function askDown(home: Home): Promise<void> {
  await call(home, "POST", "/down");
}

async function call(home: Home, method: string, path: string): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`http://kernel${path}`, {
      method,
      unix: home.kernelSocket,
      signal: AbortSignal.timeout(method === "GET" ? kernelTimeoutMs : commandTimeoutMs),
    });
  } catch (cause) {
    throw new NinesError("unavailable", `the kernel of ${home.root} does not answer`, {
      cause,
      blame: "platform",
      hint: "nines status shows what runs; nines up starts it",
    });
  }
  const body = (await response.json()) as { message?: string };
  if (!response.ok)
    throw new NinesError("conflict", body.message ?? `the kernel answered ${response.status}`);
  return body;
}
