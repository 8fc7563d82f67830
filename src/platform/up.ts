/** `nines up` and `nines down`: brings the platform of a home up, stays as the guard of kernel and heart, takes it down. */
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tryLock } from "../os/libc.ts";
import { systemClock } from "../std/clock.ts";
import { NinesError, systemCode } from "../std/errors.ts";
import { startReaper } from "../supervisor/supervisor.ts";
import { type Home, toHome } from "../wire/home.ts";
import type { PartStatus } from "../wire/part.ts";
import type { Config } from "./config.ts";
import { portOf, prepareHome } from "./home.ts";
import { askDown, askParts, askRest, livingPart } from "./kernel-client.ts";
import { fewFirst, spawnKernel } from "./spawn.ts";
import { sweep } from "./sweep.ts";

export { fewFirst };

const clock = systemClock;
const upTimeoutMs = 60_000;
const downTimeoutMs = 120_000;
const ledTimeoutMs = 5_000;
const statusTimeoutMs = 1_000;

export interface Up {
  /** False when the platform of this home ran already. */
  readonly started: boolean;
  /** The admin token, when it was made just now. */
  readonly newToken: string | undefined;
  readonly routerPort: number;
  readonly apiPort: number;
}

/** Starts the platform where it does not run, and resolves when every part is up. */
export async function up(
  config: Config,
  onStatus: (parts: readonly PartStatus[]) => void = () => {},
): Promise<Up & { readonly parts: readonly PartStatus[] }> {
  const launched = await launch(config);
  const parts = await untilUp(toHome(config.home), onStatus);
  await untilLed(config, toHome(config.home));
  return { ...launched, parts };
}

/**
 * Starts the platform where it does not run. With `fewFirst` one of each kind comes first, until `complete` is
 * called: on few processors twelve processes that start at once serve their first request late.
 */
export async function launch(config: Config, how?: typeof fewFirst): Promise<Up> {
  const { home, newToken } = await prepareHome(config);
  const started = livingPart(home, "kernel") === undefined && !isLocked(home);
  if (started) {
    if (livingPart(home, "router.1") === undefined) await checkPorts(config, home);
    if (livingPart(home, "heart") === undefined) spawnKernel(config, how);
  }
  return { started, newToken, routerPort: portOf(home, "router"), apiPort: portOf(home, "api") };
}

/** Starts what `launch` has held back, and resolves when every part is up; throws `timeout` that names the others. */
export async function complete(config: Config): Promise<void> {
  const home = toHome(config.home);
  // A kernel that does not answer, or knows no such call, has parts that are looked at all the same.
  await askRest(home).catch(() => {});
  await untilUp(home, () => {});
}

/**
 * Watches over kernel and heart, which watch each other: only when both are gone, starts a kernel again.
 * Resolves when the platform was taken down in order.
 */
export async function guard(config: Config, signal: AbortSignal): Promise<void> {
  const home = toHome(config.home);
  // In a container this is pid 1: what outlives its own parent becomes our child, and ours to reap.
  using _reaper = process.pid === 1 ? startReaper({ clock }) : undefined;
  let orphanedSince: number | undefined;
  while (!signal.aborted) {
    if (livingPart(home, "kernel") !== undefined) orphanedSince = undefined;
    else if (!existsSync(home.status)) return;
    else {
      orphanedSince ??= clock.now();
      // The heart has a moment to do it, as it does when only the kernel died.
      const patienceMs = livingPart(home, "heart") === undefined ? 0 : 5_000;
      if (clock.now() - orphanedSince >= patienceMs && !isLocked(home)) {
        spawnKernel(config);
        orphanedSince = undefined;
        await clock.sleep(400);
      }
    }
    await clock.sleep(50);
  }
}

/** Stops everything in order; resolves when nothing of this home runs any more. False when nothing ran. */
export async function down(config: Config): Promise<boolean> {
  const home = toHome(config.home);
  const kernel = livingPart(home, "kernel");
  if (kernel === undefined) return await sweep(home);
  await askDown(home);
  const deadline = clock.now() + downTimeoutMs;
  while (isLocked(home)) {
    if (clock.now() > deadline) {
      throw new NinesError("timeout", `the platform did not stop within ${downTimeoutMs / 1_000} s`, {
        blame: "platform",
      });
    }
    await clock.sleep(20);
  }
  await sweep(home);
  rmSync(home.stopping, { force: true });
  return true;
}

async function untilUp(
  home: Home,
  onStatus: (parts: readonly PartStatus[]) => void,
): Promise<readonly PartStatus[]> {
  const deadline = clock.now() + upTimeoutMs;
  let last: readonly PartStatus[] = [];
  for (;;) {
    try {
      last = await askParts(home);
      onStatus(last);
      if (last.length > 0 && last.every((part) => part.state === "up" || part.state === "stopped"))
        return last;
    } catch (error) {
      if (!(error instanceof NinesError)) throw error;
    }
    if (clock.now() > deadline) {
      const late = last.filter((part) => part.state !== "up").map((part) => part.name);
      throw new NinesError(
        "timeout",
        `not up after ${upTimeoutMs / 1_000} s: ${late.join(", ") || "kernel"}`,
        {
          blame: "platform",
          hint: `see ${home.partLog(late[0] ?? "kernel")}`,
        },
      );
    }
    await clock.sleep(10);
  }
}

/**
 * Resolves when a controller leads, so that the next command finds somebody who takes its change. With the
 * database away nobody ever does; the platform serves all the same, so the wait is short then.
 */
async function untilLed(config: Config, home: Home): Promise<void> {
  const host = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
  const headers = { authorization: `Bearer ${readFileSync(home.token, "utf8").trim()}` };
  const deadline = clock.now() + ledTimeoutMs;
  while (clock.now() < deadline) {
    try {
      const signal = AbortSignal.timeout(statusTimeoutMs);
      const reply = await fetch(`http://${host}:${portOf(home, "api")}/v1/status`, { headers, signal });
      const status = (await reply.json()) as { leader?: string | null; staleMs?: number };
      if (reply.ok && typeof status.leader === "string" && status.staleMs === 0) return;
    } catch {
      // A controller that does not answer yet; the deadline decides.
    }
    await clock.sleep(10);
  }
}

/** True while a kernel of this home runs, however young. */
export function isLocked(home: Home): boolean {
  if (!existsSync(home.kernelLock)) return false;
  const file = openSync(home.kernelLock, "r");
  try {
    return !tryLock(file);
  } finally {
    closeSync(file);
  }
}

async function checkPorts(config: Config, home: Home): Promise<void> {
  for (const [name, variable] of [
    ["router", "NINES_PORT"],
    ["api", "NINES_API_PORT"],
  ] as const) {
    const port = portOf(home, name);
    await new Promise<void>((resolve, reject) => {
      const server = createServer();
      server.once("error", (cause) => {
        const used = systemCode(cause) === "EADDRINUSE";
        const what = used ? "is in use by another program" : `cannot be listened on (${systemCode(cause)})`;
        reject(
          new NinesError("unavailable", `port ${port} of ${config.host}, for the ${name}, ${what}`, {
            cause,
            hint: `set ${variable} to a free port, or stop what uses it`,
          }),
        );
      });
      server.listen({ host: config.host, port }, () => server.close(() => resolve()));
    });
  }
}
