/**
 * The frame of every process of the platform: it beats, says when it is ready and where, stops when asked,
 * and ends itself on what nobody expected; its supervisor knows what to do then.
 */
import { closeSync, futimesSync, openSync } from "node:fs";
import { identify } from "../os/proc.ts";
import { type Clock, systemClock } from "../std/clock.ts";
import { systemCode, toError } from "../std/errors.ts";
import { isFull, overwrite, readJson, writeJson } from "../std/file.ts";
import { createLog, type Log } from "../std/log.ts";
import { type Home, toHome } from "../wire/home.ts";
import type { PartFile, PartKind } from "../wire/part.ts";
import { type Config, parseConfig } from "./config.ts";
import { isLateWrite } from "./late-write.ts";

export const beatIntervalMs = 250;
const announceIntervalMs = 1_000;

export interface Part {
  readonly id: string;
  readonly kind: PartKind;
  readonly config: Config;
  readonly home: Home;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a part has started, once it serves. */
export interface Running {
  readonly port?: number;
  readonly internalPort?: number;
  /** Finishes what is under way, then resolves. */
  stop(): Promise<void>;
}

export type Main = (part: Part) => Promise<Running>;

/** Runs a part until it is asked to stop (SIGTERM, SIGINT); never returns. */
export async function runPart(kind: PartKind, id: string, main: Main): Promise<never> {
  const config = parseConfig(process.env);
  const home = toHome(config.home);
  const log = createLog({ part: id });
  const crash = (event: string) => (thrown: unknown) => {
    const error = toError(thrown);
    log.error(event, { code: systemCode(error), message: error.message, stack: error.stack });
    process.exit(1);
  };
  const crashUncaught = crash("uncaught_exception");
  process.on("uncaughtException", (error) => {
    if (isLateWrite(error)) log.warn("late_write", { message: error.message });
    else crashUncaught(error);
  });
  process.on("unhandledRejection", crash("unhandled_rejection"));
  beat(home.beat(id));

  const asked = new Promise<void>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => resolve());
  });
  try {
    const running = await main({ id, kind, config, home, clock: systemClock, log });
    announce(home.partFile(id), toPartFile(kind, id, running));
    log.info("ready", {
      port: running.port,
      internal_port: running.internalPort,
      boot_ms: Math.round(performance.now()),
    });
    await asked;
    log.info("stopping");
    await running.stop();
    log.info("stopped");
  } catch (error) {
    crash("failed")(error);
  }
  process.exit(0);
}

/**
 * Writes a part's file, and again when it was damaged: a kernel that adopts the part waits to read it. On a full disk
 * the file of the process before is overwritten, because a part that cannot say that it lives is started in vain.
 */
export function announce(path: string, file: PartFile): void {
  const written = JSON.stringify(file);
  try {
    writeJson(path, file);
  } catch (error) {
    if (!isFull(error)) throw error;
    overwrite(path, `${written}\n`);
  }
  setInterval(() => {
    try {
      const stored = readJson(path);
      if (stored.kind !== "value" || JSON.stringify(stored.value) !== written) writeJson(path, file);
    } catch {
      // A full disk: the next turn tries again.
    }
  }, announceIntervalMs).unref();
}

/** Touches the file four times a second for as long as the event loop turns; nothing is written, so a full disk does not matter. */
export function beat(path: string): Disposable {
  const file = openSync(path, "a", 0o600);
  const touch = () => {
    const now = Date.now() / 1_000;
    futimesSync(file, now, now);
  };
  touch();
  const timer = setInterval(touch, beatIntervalMs);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      closeSync(file);
    },
  };
}

function toPartFile(kind: PartKind, id: string, running: Running): PartFile {
  return {
    id,
    kind,
    pid: process.pid,
    startTime: identify(process.pid)?.startTime ?? 0,
    ...(running.port === undefined ? {} : { port: running.port }),
    ...(running.internalPort === undefined ? {} : { internalPort: running.internalPort }),
  };
}
