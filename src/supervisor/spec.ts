/** Checks what a supervisor is given, and fills in the defaults. */
import { NinesError } from "../std/errors.ts";
import type {
  AutoShutdown,
  ChildSpec,
  Intensity,
  Restart,
  Shutdown,
  Strategy,
  SupervisorSpec,
} from "./child.ts";

export const defaultShutdownMs = 5_000;
export const defaultIntensity: Intensity = { restarts: 1, periodMs: 5_000 };

/** A child's spec with nothing left open. */
export type FullChildSpec = Required<ChildSpec>;

/** Throws `invalid` with everything that is wrong with a supervisor's flags. */
export function checkFlags(flags: {
  readonly id: string;
  readonly strategy: Strategy | "dynamic";
  readonly intensity: Intensity;
  readonly autoShutdown: AutoShutdown;
  readonly shutdownChildren: Shutdown;
}): void {
  const wrong: string[] = [];
  if (typeof flags.id !== "string" || flags.id === "") wrong.push("missing_id");
  if (!["one_for_one", "one_for_all", "rest_for_one", "dynamic"].includes(flags.strategy)) {
    wrong.push(`invalid_strategy ${JSON.stringify(flags.strategy)}`);
  }
  if (!Number.isInteger(flags.intensity.restarts) || flags.intensity.restarts < 0) {
    wrong.push(`invalid_intensity ${flags.intensity.restarts}`);
  }
  if (!(flags.intensity.periodMs > 0)) wrong.push(`invalid_period ${flags.intensity.periodMs}`);
  if (!["never", "any_significant", "all_significant"].includes(flags.autoShutdown)) {
    wrong.push(`invalid_auto_shutdown ${JSON.stringify(flags.autoShutdown)}`);
  }
  if (!isShutdown(flags.shutdownChildren)) {
    wrong.push(`invalid_shutdown ${JSON.stringify(flags.shutdownChildren)}`);
  }
  refuse(`supervisor ${flags.id}`, wrong);
}

/** Throws `invalid` for a faulty spec; keys that nobody knows are ignored. */
export function toFullSpec(spec: ChildSpec, autoShutdown: AutoShutdown): FullChildSpec {
  const full = {
    id: spec.id,
    restart: spec.restart ?? "permanent",
    significant: spec.significant ?? false,
    type: spec.type ?? "worker",
    shutdown: spec.shutdown ?? (spec.type === "supervisor" ? "infinity" : defaultShutdownMs),
    start: (signal: AbortSignal) => spec.start(signal),
  };
  const wrong: string[] = [];
  if (typeof spec.id !== "string" || spec.id === "") wrong.push("missing_id");
  if (typeof spec.start !== "function") wrong.push("missing_start");
  if (!isRestart(full.restart)) wrong.push(`invalid_restart_type ${JSON.stringify(full.restart)}`);
  if (!isShutdown(full.shutdown)) wrong.push(`invalid_shutdown ${JSON.stringify(full.shutdown)}`);
  if (full.type !== "worker" && full.type !== "supervisor") {
    wrong.push(`invalid_child_type ${JSON.stringify(full.type)}`);
  }
  if (typeof full.significant !== "boolean") wrong.push("invalid_significant");
  if (full.significant && full.restart === "permanent") {
    wrong.push("bad_combination: significant with restart permanent");
  }
  if (full.significant && autoShutdown === "never") {
    wrong.push("bad_combination: significant with autoShutdown never");
  }
  refuse(`child ${spec.id ?? "?"}`, wrong);
  return full;
}

/** Throws `invalid` when two children have one name. */
export function checkUnique(specs: readonly { readonly id: string }[]): void {
  const seen = new Set<string>();
  for (const { id } of specs) {
    if (seen.has(id)) refuse(`child ${id}`, ["duplicate_child_name"]);
    seen.add(id);
  }
}

export function isSupervisorSpec(spec: ChildSpec | SupervisorSpec): spec is SupervisorSpec {
  return "children" in spec;
}

function isRestart(value: unknown): value is Restart {
  return value === "permanent" || value === "transient" || value === "temporary";
}

function isShutdown(value: unknown): value is Shutdown {
  if (value === "infinity" || value === "brutal_kill") return true;
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function refuse(what: string, wrong: readonly string[]): void {
  if (wrong.length > 0) throw new NinesError("invalid", `${what}: ${wrong.join("; ")}`);
}
