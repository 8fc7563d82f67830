/** What a platform uses, looked at while it runs: memory and descriptors of each part, processes, files, sizes on disk. */
import { type Dirent, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { toGround } from "../wire/home.ts";
import { findProcesses } from "./leftovers.ts";
import { wallMs } from "./load/load.ts";
import type { Platform } from "./platform.ts";

/** One look; the names are `router.1 memory MB`, `processes` and so on. */
export interface Usage {
  readonly at: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Watch extends AsyncDisposable {
  readonly looks: readonly Usage[];
}

const looksAtMost = 120;
const everyMsMin = 2_000;
const pageBytes = 4_096;
const megabyte = 1_048_576;

/** Looks again and again, some hundred times in all. A look that fails, because the kernel was just killed, is left out. */
export function startWatch(platform: Platform, temporary: string | undefined, durationMs: number): Watch {
  const looks: Usage[] = [];
  const stopping = new AbortController();
  const everyMs = Math.max(everyMsMin, durationMs / looksAtMost);
  const loop = async () => {
    while (!stopping.signal.aborted) {
      const look = await lookAt(platform, temporary).catch(() => undefined);
      if (look !== undefined) looks.push(look);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs);
        stopping.signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  };
  const running = loop();
  return {
    looks,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

async function lookAt(platform: Platform, temporary: string | undefined): Promise<Usage> {
  const values: Record<string, number> = {};
  for (const { name, pid, state } of await platform.parts()) {
    if (pid === null || state !== "up") continue;
    values[`${name} memory MB`] = memoryBytes(pid) / megabyte;
    values[`${name} descriptors`] = count(`/proc/${pid}/fd`);
  }
  values.processes = findProcesses(platform.home.root).length;
  values["temporary files"] =
    (temporary === undefined ? 0 : count(temporary)) +
    count(platform.home.root, (name) => name.endsWith(".tmp"));
  values["journals MB"] = sizeOf(join(platform.home.root, "broker")) / megabyte;
  values["database MB"] = sizeOf(join(toGround(platform.home.root).postgres, "data", "base")) / megabyte;
  return { at: wallMs(), values };
}

function memoryBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * pageBytes;
  } catch {
    return 0;
  }
}

/** What goes away while it is looked at, is not there. */
function walk(path: string, see: (name: string, path: string) => void): void {
  let entries: Dirent[];
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) walk(inner, see);
    else see(entry.name, inner);
  }
}

function count(folder: string, counts: (name: string) => boolean = () => true): number {
  let found = 0;
  walk(folder, (name) => {
    if (counts(name)) found++;
  });
  return found;
}

function sizeOf(folder: string): number {
  let bytes = 0;
  walk(folder, (_, path) => {
    bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
  });
  return bytes;
}
