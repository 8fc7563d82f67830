/** How a process of the platform is started: the pinned runtime, the part's file, the config as environment. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { toHome } from "../wire/home.ts";
import { type Config, toEnv } from "./config.ts";

export interface PartCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/**
 * A controller keeps tens of megabytes of the past, and a heap that may grow to twice what lives in it would add as
 * many of nothing. Collecting at a tenth more costs it no CPU that could be measured.
 */
export const controllerHeap = {
  BUN_JSC_smallHeapGrowthFactor: "1.1",
  BUN_JSC_mediumHeapGrowthFactor: "1.1",
} as const;

/** The command line of a part. The kernel has a file of its own: it is no child of anybody. */
export function partCommand(config: Config, kind: string, id: string): PartCommand {
  const file = join(import.meta.dirname, kind === "kernel" ? "kernel.ts" : "main.ts");
  return {
    command: process.execPath,
    // A small heap is collected often: a router, idle no larger without it, works about 5 % more for its requests.
    args: ["--no-install", ...(kind === "router" ? [] : ["--smol"]), file, kind, id],
    env: {
      ...toEnv(config, process.env),
      NINES_PART: id,
      ...(kind === "controller" ? controllerHeap : {}),
    },
    cwd: config.home,
  };
}

/** Tells the kernel to start one of each kind first, and the others when it is asked to (`askRest`). */
export const fewFirst = "few-first";

/** Starts a kernel that outlives us: a session of its own, output to its log. Only one per home gets the lock. */
export function spawnKernel(
  config: Config,
  how?: typeof fewFirst,
): {
  readonly pid: number;
  readonly exited: Promise<number | null>;
} {
  const { command, args, env, cwd } = partCommand(config, "kernel", "kernel");
  const log = openSync(toHome(config.home).partLog("kernel"), "a", 0o600);
  try {
    const child = spawn(command, how === undefined ? [...args] : [...args, how], {
      cwd,
      env,
      detached: true,
      stdio: ["ignore", log, log],
    });
    child.unref();
    const exited = new Promise<number | null>((resolve) => {
      child.once("exit", (code) => resolve(code));
      child.once("error", () => resolve(null));
    });
    return { pid: child.pid ?? 0, exited };
  } finally {
    closeSync(log);
  }
}
