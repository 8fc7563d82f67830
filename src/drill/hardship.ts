/** What is done to a platform's surroundings: its network cut, its disk filled, its descriptors taken, its clocks stepped. */
import { type Clocks, clockLookMs } from "./clock.ts";
import type { Deed } from "./deed.ts";
import { Filling } from "./disk.ts";
import { cutPorts } from "./firewall.ts";
import type { Ground } from "./ground.ts";
import type { Kind } from "./kinds.ts";
import { wallMs } from "./load/load.ts";
import { limitDescriptors, limitMemory } from "./scarce.ts";
import type { Step } from "./schedule.ts";
import { type Scene, survivors } from "./victims.ts";

type Done = Partial<Deed>;

const refillMs = 50;
/** Enough to go on with what is under way, and for no more. */
const spareDescriptors = 2;
const spareBytes = 2 * 2 ** 20;
const stepsMs = [3_600_000, -3_600_000, 86_400_000, -86_400_000, 5_000, -5_000] as const;

/** Of the groups `cut`, `scarce`, `clock` and `disk`. */
export async function worsen(kind: Kind, step: Step, ground: Ground, before: Scene): Promise<Done> {
  const pids = kind.victim?.choose(before, step.round) ?? [];
  const parts = before.parts.filter((part) => pids.includes(part.pid ?? 0));
  const targets = parts.map((part) => part.name);
  const startedAt = wallMs();
  switch (kind.group) {
    case "cut": {
      using _ = cutPorts(
        parts.flatMap((part) => part.port ?? []),
        step.forMs,
      );
      await Bun.sleep(step.forMs);
      break;
    }
    case "scarce": {
      using taken = new DisposableStack();
      for (const pid of pids) {
        taken.use(
          kind.needs === "memory" ? limitMemory(pid, spareBytes) : limitDescriptors(pid, spareDescriptors),
        );
      }
      await Bun.sleep(step.forMs);
      break;
    }
    case "clock":
      return await stepClocks(ground.clocks as Clocks, targets, step, ground, before);
    default:
      await fill(ground.platform.home.root, step.forMs);
  }
  const goneAt = wallMs();
  const after = await ground.settled();
  // A database that finds no room for its log ends, and is started again: that is how it keeps its word. Whoever gets no
  // memory is killed.
  const mayEnd = kind.needs === "memory" ? parts : before.parts.filter((part) => part.kind === "postgres");
  const hit = kind.needs === "memory" || kind.needs === "disk" ? mayEnd : [];
  const restarted = survivors(
    before,
    after,
    hit.map((part) => part.pid ?? 0),
  );
  return { startedAt, goneAt, backMs: wallMs() - goneAt, targets, restarted };
}

async function stepClocks(
  clocks: Clocks,
  targets: readonly string[],
  step: Step,
  ground: Ground,
  before: Scene,
): Promise<Done> {
  const startedAt = wallMs();
  const ms = stepsMs[step.round % stepsMs.length] ?? 0;
  for (const part of targets) clocks.step(part, ms);
  await Bun.sleep(step.forMs);
  for (const part of targets) clocks.step(part, 0);
  await Bun.sleep(clockLookMs);
  const goneAt = wallMs();
  const after = await ground.settled();
  const named = targets.map((part) => `${part} by ${ms / 1_000} s`);
  return { startedAt, goneAt, targets: named, restarted: survivors(before, after, []) };
}

async function fill(folder: string, forMs: number): Promise<void> {
  using filling = new Filling(folder);
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    await Bun.sleep(refillMs);
    filling.more();
  }
}
