/**
 * `nines drill`: the proof that anyone can run. A platform under load, everything in it killed, stopped, restarted and
 * changed by a schedule that comes from a seed; loads that write down what they did; checkers that read it; a verdict
 * that names every broken promise.
 *
 *   const report = await drill({ version, minutes: 10, seed: 7, kinds }, tell);
 *   process.exitCode = report.verdict.held ? 0 : 1;
 *
 * The way: `schedule.ts` (what happens when, pure) → `doing.ts` (does it) beside `load/` (processes) and `app/` (what is
 * deployed) → `model/` (what must hold, pure) → `verdict.ts` → `report.ts` → `text.ts`, `page.ts`.
 */
import { cpSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../std/clock.ts";
import type { Home } from "../wire/home.ts";
import type { Deed } from "./deed.ts";
import { doStep } from "./doing.ts";
import { audit } from "./evidence.ts";
import { prepareGround } from "./ground.ts";
import { kinds as allKinds, type Kind } from "./kinds.ts";
import { Journal } from "./load/journal.ts";
import { wallMs } from "./load/load.ts";
import { startLoads } from "./loads.ts";
import { checkLeaks } from "./model/leaks.ts";
import type { Platform } from "./platform.ts";
import { type Report, toReport } from "./report.ts";
import { type Step, toSchedule } from "./schedule.ts";
import { setStage } from "./stage.ts";
import { startWatch } from "./usage.ts";
import { toVerdict } from "./verdict.ts";

export { chooseKinds, type Kind, kinds } from "./kinds.ts";
export { toPage } from "./page.ts";
export { toPicture } from "./picture.ts";
export type { Report } from "./report.ts";
export { toText } from "./text.ts";

export interface DrillOptions {
  readonly version: string;
  readonly minutes: number;
  readonly seed: number;
  readonly kinds: readonly Kind[];
  /** HTTP requests a second, of all kinds; 100 by default. */
  readonly rate?: number;
  /** Of a platform that runs and is to be drilled; by default one is started for the drill, and taken down again. */
  readonly home?: Home;
  /** A folder that a drill with a broken promise leaves the loads' journals and the platform's logs in; by default they go. */
  readonly evidence?: string;
  /** Ends the drill early: the platform is taken down, and there is no report. */
  readonly signal?: AbortSignal;
}

export type News =
  | { readonly kind: "phase"; readonly what: string }
  | { readonly kind: "step"; readonly step: Step; readonly of: number; readonly what: string }
  | { readonly kind: "deed"; readonly deed: Deed; readonly of: number };

const defaultRate = 100;

export async function drill(options: DrillOptions, tell: (news: News) => void): Promise<Report> {
  const { seed, minutes, version, rate = defaultRate } = options;
  const durationMs = minutes * 60_000;
  tell({
    kind: "phase",
    what: options.home === undefined ? "a platform of its own starts" : "the platform is asked",
  });
  const stage = await setStage(options.kinds, options.home);
  const { platform, leftOut } = stage;
  if (leftOut.length > 0) tell({ kind: "phase", what: `left out: ${leftOut.join(", ")}` });
  const schedule = toSchedule(stage.possible, seed, durationMs);
  const pauseUntil = async (at: number) => {
    options.signal?.throwIfAborted();
    await systemClock.sleep(Math.max(0, at - wallMs()), options.signal);
  };
  try {
    const folder = join(platform.folder, "drill");
    mkdirSync(folder, { mode: 0o711 });
    tell({ kind: "phase", what: "the drill's app is deployed" });
    const ground = await prepareGround(platform, folder, stage.clocks);
    await using loads = await startLoads(ground, rate);
    using journal = new Journal(join(folder, "deeds.jsonl"));
    await using watch = startWatch(platform, stage.temporary, durationMs);
    const deeds: Deed[] = [];
    const startedAt = wallMs();
    for (const step of schedule) {
      if (wallMs() - startedAt > durationMs) break;
      await pauseUntil(startedAt + step.atMs);
      const kind = allKinds.find((one) => one.name === step.kind) as Kind;
      tell({ kind: "step", step, of: schedule.length, what: kind.what });
      const deed = await doStep(step, kind, { ground, load: loads.http, target: loads.target, rate });
      deeds.push(deed);
      journal.add(deed);
      tell({ kind: "deed", deed, of: schedule.length });
    }
    await pauseUntil(startedAt + durationMs);
    tell({ kind: "phase", what: "what is under way comes to its end" });
    await ground.settled();
    const endedAt = wallMs();
    const evidence = await audit(ground, loads, deeds, endedAt);
    await watch[Symbol.asyncDispose]();
    await loads[Symbol.asyncDispose]();
    if (options.evidence !== undefined && !toVerdict({ ...evidence.found, leaks: [], left: [] }).held) {
      tell({ kind: "phase", what: `journals and logs are kept in ${options.evidence}` });
      keepEvidence(platform, folder, options.evidence);
    }
    tell({ kind: "phase", what: "the platform is taken down" });
    const left = await stage.end();
    const found = { ...evidence.found, leaks: checkLeaks(watch.looks), left };
    const run = { version, seed, minutes, schedule, startedAt, endedAt, records: evidence.records, leftOut };
    return toReport(run, found, toVerdict(found));
  } catch (error) {
    await stage.end();
    throw error;
  }
}

/** What tells why, once the platform is gone: who did what when, and what each part said. */
function keepEvidence(platform: Platform, journals: string, folder: string): void {
  const filter = (path: string) => lstatSync(path).isFile() || lstatSync(path).isDirectory();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  cpSync(journals, join(folder, "journals"), { recursive: true, filter });
  cpSync(platform.home.log, join(folder, "log"), { recursive: true, filter });
}
