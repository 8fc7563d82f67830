/** Whether what a stage asserts holds, for one release: the port of the deploys. */
import type { Gates } from "../deploy/deploy.ts";
import { type Assert, judge, parseAssert, toReachMs } from "../metrics/asserts.ts";
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import { assertName } from "../wire/asserts.ts";
import type { Verdict } from "../wire/verdict.ts";
import type { Asserts } from "./asserts.ts";

/** Of one release, for deploys; of all that there is, for flags. */
export interface AssertGates extends Gates {
  judge(claim: string, of?: Place): Verdict;
}

interface Place {
  readonly app: string;
  readonly release: number;
}

/** Expressions that are read once. */
const readMax = 200;
/** Everybody reports each second. */
const deafMs = 5_000;

export function createGates(watching: Asserts, clock: Clock): AssertGates {
  const read = new Map<string, Assert>();
  const find = (claim: string): Assert => {
    const named = assertName.test(claim) ? watching.catalog.get(claim)?.assert : undefined;
    if (named !== undefined) return named;
    const known = read.get(claim) ?? parseAssert("gate", { expr: claim });
    if (read.size >= readMax) read.clear();
    read.set(claim, known);
    return known;
  };

  return {
    judge(claim, of) {
      try {
        return toVerdict(find(claim), watching, clock.now(), of);
      } catch (error) {
        return { state: "unknown", why: toError(error).message };
      }
    },
  };
}

function toVerdict(assert: Assert, watching: Asserts, now: number, of: Place | undefined): Verdict {
  const { silentMs } = watching.hearing();
  if (silentMs > deafMs)
    return { state: "unknown", why: `no process was heard for ${Math.round(silentMs / 1_000)} s` };
  const narrow = of && [
    { label: "app", op: "=" as const, value: of.app },
    { label: "release", op: "=" as const, value: String(of.release) },
  ];
  const { verdict, finding } = judge(assert, watching.source, now, narrow && { narrow });
  const { value, threshold, samples, ageMs, why } = finding;
  const sign = assert.claim.kind === "compare" ? assert.claim.sign : undefined;
  return {
    // No data of a release is no verdict on it: it holds the stage, until its deadline.
    state: finding.state === "absent" ? "unknown" : verdict,
    ...(value === undefined || !Number.isFinite(value) ? {} : { value }),
    ...(threshold === undefined || !Number.isFinite(threshold) ? {} : { threshold }),
    ...(threshold === undefined || sign === undefined
      ? {}
      : { bound: `${sign} ${Number(threshold.toPrecision(6))}` }),
    windowMs: toReachMs(assert.claim),
    samples: Math.round(samples),
    ...(ageMs === undefined ? {} : { ageMs }),
    ...(why === "" ? {} : { why }),
  };
}
