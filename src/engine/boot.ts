/**
 * Waits until a web instance serves: a process of its own listens on its PORT, and its health path, where
 * there is one, answers 2xx. Looks often at first, as most are up soon, and ever less often later.
 */
import type { Clock } from "../std/clock.ts";
import { toDuration } from "../std/duration.ts";
import type { Health } from "../wire/records.ts";
import { readFamily } from "./census.ts";
import { type Probe, type ProbeTarget, probe } from "./health.ts";
import { readListeners, readSockets } from "./listener.ts";

/** Between two health probes while it boots. */
const probeIntervalMs = 100;
/** Between two looks at everything while it boots. */
const fullLookMs = 250;
/** Looks at the tables after a new socket was seen. */
const eagerLooks = 5;

export interface Boot {
  readonly app: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** Monotonic. */
  readonly deadline: number;
  readonly health: Health | undefined;
  /** Its main process. */
  readonly pid: number;
  /** All its processes, also orphaned ones; costs a pass over /proc. */
  readonly pids: () => readonly number[];
}

export type Booted =
  /** `pid`: of the process that listens. */
  | { readonly kind: "ready"; readonly host: string; readonly pid: number }
  | { readonly kind: "late"; readonly reason: string };

/** Rejects with the signal's reason when it is called off. */
export async function awaitBoot(boot: Boot, clock: Clock, signal: AbortSignal): Promise<Booted> {
  const start = clock.now();
  const look = createLook(boot, clock);
  let found: Found | undefined;
  while ((found = look()) === undefined) {
    if (clock.now() >= boot.deadline) return { kind: "late", reason: toMissing(boot) };
    await clock.sleep(toNapMs(clock.now() - start), signal);
  }
  const { host, pid } = found;
  if (boot.health === undefined) return { kind: "ready", host, pid };
  const target = toProbeTarget(boot.app, host, boot.port, boot.health);
  let last: Probe = { ok: false, reason: "was not asked" };
  for (;;) {
    last = await probe(target, signal);
    signal.throwIfAborted();
    if (last.ok) return { kind: "ready", host, pid };
    if (clock.now() >= boot.deadline) {
      const within = toDuration(boot.timeoutMs);
      return {
        kind: "late",
        reason: `Web process did not answer 2xx at ${boot.health.path} within ${within} of launch: ${last.reason}`,
      };
    }
    await clock.sleep(probeIntervalMs, signal);
  }
}

export function toProbeTarget(app: string, host: string, port: number, health: Health): ProbeTarget {
  return { app, host, port, path: health.path, timeoutMs: health.timeoutMs };
}

export interface Found {
  readonly host: string;
  /** The process that listens. */
  readonly pid: number;
}

/**
 * Looks for the listener, cheaply while there can be none: only sockets that were not there at the last look
 * are a reason to read the tables now, old ones every so often, as they may have begun to listen.
 */
function createLook(boot: Boot, clock: Clock): () => Found | undefined {
  let seen = new Set<string>();
  let eager = 0;
  let nextFullAt = clock.now() + fullLookMs;
  return () => {
    const full = clock.now() >= nextFullAt;
    if (full) nextFullAt = clock.now() + fullLookMs;
    const pids = full ? [...new Set([...readFamily(boot.pid), ...boot.pids()])] : readFamily(boot.pid);
    const held = pids.map((pid) => ({ pid, sockets: readSockets(pid) }));
    const sockets = held.flatMap((one) => one.sockets);
    // Between its making and its listening is a moment, which a look may fall into.
    eager = sockets.some((inode) => !seen.has(inode)) ? eagerLooks : Math.max(0, eager - 1);
    seen = new Set(sockets);
    return eager > 0 || (full && sockets.length > 0) ? findAmong(boot.port, held) : undefined;
  };
}

/** Who listens on the port, if it is one of the run's own processes. */
export function findListener(boot: Pick<Boot, "port" | "pid" | "pids">): Found | undefined {
  const pids = new Set([...readFamily(boot.pid), ...boot.pids()]);
  return findAmong(
    boot.port,
    [...pids].map((pid) => ({ pid, sockets: readSockets(pid) })),
  );
}

interface Holder {
  readonly pid: number;
  readonly sockets: readonly string[];
}

function findAmong(port: number, holders: readonly Holder[]): Found | undefined {
  for (const listener of readListeners()) {
    if (listener.port !== port) continue;
    const holder = holders.find(({ sockets }) => sockets.includes(listener.inode));
    if (holder !== undefined) return { host: listener.host, pid: holder.pid };
  }
  return undefined;
}

function toMissing(boot: Boot): string {
  const within = toDuration(boot.timeoutMs);
  const sockets = new Set(boot.pids().flatMap(readSockets));
  const listeners = readListeners().filter(({ inode }) => sockets.has(inode));
  const ports = new Set(listeners.map(({ port }) => port));
  // Bound in this very moment, and too late.
  ports.delete(boot.port);
  return ports.size === 0
    ? `Web process failed to bind to $PORT within ${within} of launch`
    : `Web process listens on ${[...ports].join(", ")}, not on PORT ${boot.port}, ${within} after launch`;
}

function toNapMs(elapsedMs: number): number {
  if (elapsedMs < 2_000) return 10;
  return elapsedMs < 15_000 ? 50 : 250;
}
