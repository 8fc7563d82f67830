/**
 * What the agent measures: how its instances boot, crash, and what they use; how many should run and how many do;
 * and what those parts use that have no end of the bus of their own.
 */
import { readFileSync, statSync } from "node:fs";
import type { Engine } from "../engine/engine.ts";
import type { Registry } from "../metrics/metrics.ts";
import type { Home } from "../wire/home.ts";
import type { Instance } from "../wire/messages.ts";
import { livingPart } from "./kernel-client.ts";
import type { Part } from "./part.ts";

/** A look at all processes takes milliseconds, so it is not taken each second. */
const usageAgeMs = 4_500;
const silentParts = ["kernel", "heart", "postgres"];
const pageBytes = 4_096;

interface Use {
  readonly cpuMs: number;
  readonly at: number;
  readonly cores: number;
}

export class AgentMeasures {
  readonly #registry: Registry;
  readonly #part: Part;
  readonly #startingSince = new Map<string, number>();
  /** CPU of each instance at the last look. */
  #cpu = new Map<string, Use>();
  #silent: readonly (readonly [id: string, bytes: number])[] = [];
  #silentAt = Number.NEGATIVE_INFINITY;

  constructor(registry: Registry, part: Part) {
    this.#registry = registry;
    this.#part = part;
    registry.onCollect((to) => {
      this.#lookAtSilent();
      for (const [id, bytes] of this.#silent) to.gauge("process.memory_bytes", { part: id }, bytes);
      for (const id of ["kernel", "heart"]) {
        const beatMs = readBeatMs(part.home.beat(id), part.clock.wall());
        if (beatMs !== undefined) to.gauge("process.beat_age_ms", { part: id }, beatMs);
      }
    });
  }

  #lookAtSilent(): void {
    const now = this.#part.clock.now();
    if (now - this.#silentAt < usageAgeMs) return;
    this.#silentAt = now;
    this.#silent = silentParts.flatMap((id) => {
      const bytes = readPart(this.#part.home, id);
      return bytes === undefined ? [] : [[id, bytes] as const];
    });
  }

  changed({ id, app, type, state, attempts }: Instance): void {
    const now = this.#part.clock.now();
    if (state === "starting") {
      this.#startingSince.set(id, now);
      this.#registry.counter("instance.launches", { app, type }).add();
      if (attempts > 1) this.#registry.counter("instance.restarts", { app, type }).add();
      return;
    }
    const since = this.#startingSince.get(id);
    this.#startingSince.delete(id);
    if (state === "up" && since !== undefined) {
      this.#registry.histogram("instance.boot_ms", { app, type }).record(now - since);
    }
    if (state === "crashed") this.#registry.counter("instance.crashes", { app, type }).add();
  }

  failed(app: string, code: string): void {
    this.#registry.counter("instance.errors", { app, code }).add();
  }

  follow(engine: Engine): void {
    this.#registry.onCollect((to) => {
      const desired = tally(engine.wanted());
      const actual = tally(engine.instances().filter(({ state }) => state === "up"));
      for (const [key, { app, type, count }] of desired) {
        to.gauge("instances.desired", { app, type }, count);
        to.gauge("instances.actual", { app, type }, actual.get(key)?.count ?? 0);
      }
      to.gauge("instances.phantom", {}, engine.phantoms(usageAgeMs));
      const now = this.#part.clock.now();
      const seen = new Map<string, Use>();
      for (const { instance, memoryBytes, cpuMs } of engine.usage(usageAgeMs)) {
        const { app, release } = instance;
        const labels = { app, instance: instance.name, release: String(release) };
        to.gauge("instance.memory_bytes", labels, memoryBytes);
        const before = this.#cpu.get(instance.id);
        const use = toUse(before, cpuMs, now);
        seen.set(instance.id, use);
        to.gauge("instance.cpu", labels, use.cores);
      }
      this.#cpu = seen;
    });
  }
}

/** The cores in use since the last look; children that have ended took theirs along. */
function toUse(before: Use | undefined, cpuMs: number, now: number): Use {
  if (before === undefined) return { cpuMs, at: now, cores: 0 };
  if (now - before.at < usageAgeMs) return before;
  const cores = Math.max(0, cpuMs - before.cpuMs) / (now - before.at);
  return { cpuMs, at: now, cores: Math.round(cores * 1_000) / 1_000 };
}

function tally(places: readonly { readonly app: string; readonly type: string }[]) {
  const counts = new Map<string, { readonly app: string; readonly type: string; count: number }>();
  for (const { app, type } of places) {
    const key = `${app} ${type}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { app, type, count: 1 });
    else known.count++;
  }
  return counts;
}

/** What a silent part has in memory. Of the database's processes what they share is counted once. */
function readPart(home: Home, id: string): number | undefined {
  const pid = livingPart(home, id)?.pid;
  if (pid === undefined) return undefined;
  const children = id === "postgres" ? readChildren(pid) : [];
  return children.reduce((sum, child) => sum + readMemory(child, true), readMemory(pid, false));
}

function readMemory(pid: number, withoutShared: boolean): number {
  try {
    const [, resident = 0, shared = 0] = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ").map(Number);
    return (withoutShared ? resident - shared : resident) * pageBytes;
  } catch {
    return 0;
  }
}

function readChildren(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
    return text.split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function readBeatMs(path: string, now: Date): number | undefined {
  try {
    return Math.max(0, Math.round(now.getTime() - statSync(path).mtimeMs));
  } catch {
    return undefined;
  }
}
