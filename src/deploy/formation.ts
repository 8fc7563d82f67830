/** How many of each process type; pure. */
import { NinesError } from "../std/errors.ts";
import { nearest } from "../std/nearest.ts";
import type { Formation } from "../wire/records.ts";
import { toShare } from "../wire/stages.ts";

/** Instances of one process type. */
export const instancesMax = 100;

const hint = "write web=3 for a number, worker+1 or worker-1 for a change";

/** `["web=3", "worker+1"]` applied to a formation. `types` are the Procfile's, undefined when none is known yet. */
export function nextFormation(
  formation: Formation,
  changes: readonly string[],
  types: readonly string[] | undefined,
): Formation {
  if (changes.length === 0) throw new NinesError("invalid", "there is nothing to scale", { hint });
  const next: Record<string, number> = { ...formation };
  for (const change of changes) {
    const [, type, sign, digits] =
      /^([A-Za-z0-9][A-Za-z0-9_-]{0,29}?)\s*([=+-])\s*(\d{1,6})$/.exec(change.trim()) ?? [];
    if (type === undefined) throw new NinesError("invalid", `"${change}" is not a change of scale`, { hint });
    checkType(type, types);
    const count = Number(digits);
    const had = Object.hasOwn(next, type) ? next[type]! : 0;
    const wanted = sign === "=" ? count : sign === "+" ? had + count : had - count;
    if (wanted < 0 || wanted > instancesMax) {
      throw new NinesError(
        "invalid",
        `${change}: ${type} would be ${wanted}, it can be 0 to ${instancesMax}`,
      );
    }
    next[type] = wanted;
  }
  return next;
}

/** What runs after the first deploy: nines.yaml's numbers, else one `web`; what is there already stays. */
export function firstFormation(
  had: Formation | undefined,
  types: readonly string[],
  scale: Formation,
): Formation {
  const count = (type: string) => (Object.hasOwn(scale, type) ? scale[type]! : type === "web" ? 1 : 0);
  const first = Object.fromEntries(
    types.filter((type) => type !== "release").map((type) => [type, count(type)]),
  );
  return { ...first, ...had };
}

/** `web=2, worker=1`: the full formation, as the log line has it. */
export function describeFormation(formation: Formation): string {
  const parts = Object.entries(formation).map(([type, count]) => `${type}=${count}`);
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

/** Names of the instances that a share of a formation asks for; types that the Procfile lacks do not count. */
export function toPlaces(formation: Formation, types: readonly string[], percent = 100): readonly string[] {
  return Object.entries(formation).flatMap(([type, count]) =>
    type === "release" || !types.includes(type)
      ? []
      : Array.from({ length: toShare(count, percent) }, (_, index) => `${type}.${index + 1}`),
  );
}

function checkType(type: string, types: readonly string[] | undefined): void {
  if (type === "release") {
    throw new NinesError("invalid", "release runs once before each release; it cannot be scaled");
  }
  if (types === undefined || types.includes(type)) return;
  const scalable = types.filter((one) => one !== "release");
  const close = nearest(type, scalable);
  throw new NinesError("invalid", `the app has no process type "${type}", only ${scalable.join(", ")}`, {
    hint: close === undefined ? "its process types are the lines of its Procfile" : `did you mean ${close}?`,
  });
}
