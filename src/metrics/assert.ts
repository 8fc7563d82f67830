/** An assert as it is kept: its record, checked, with its expression read; and what it comes to. */
import { NinesError, toError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import { type AssertRecord, assertName, noDataPolicies, severities, type Verdict } from "../wire/asserts.ts";
import { evaluate, type Finding, type Source } from "./evaluate.ts";
import { type Claim, toMeasures } from "./expression.ts";
import type { Labels } from "./key.ts";
import type { Matcher } from "./matcher.ts";
import { parseExpression, parseMatchers } from "./parser.ts";

export const defaultAssert: Omit<AssertRecord, "expr"> = {
  forMs: 0,
  keepFiringForMs: 0,
  noData: "violated",
  minSamples: 0,
  severity: "warning",
  description: "",
  runbook: "",
  inhibits: [],
  on: true,
};

const timeMsMax = 7 * 86_400_000;
const textCharsMax = 1_000;
const inhibitsMax = 10;

export interface Assert {
  readonly name: string;
  readonly record: AssertRecord;
  readonly claim: Claim;
  /** Of the alert that it raises. */
  readonly labels: Labels;
}

export interface Verdicts {
  readonly verdict: Verdict;
  readonly finding: Finding;
}

/** Checks a record. Throws `invalid`, naming the assert, the field and the reason. */
export function parseAssert(name: string, value: unknown): Assert {
  const place = `assert ${name}`;
  if (!assertName.test(name)) {
    throw new NinesError("invalid", `"${name.slice(0, 80)}" cannot be the name of an assert`, {
      hint: "lower-case letters, digits, '.', '-' and '_', starting with a letter, at most 63",
    });
  }
  const shape = new Shape(value, place);
  const within = (key: "forMs" | "keepFiringForMs" | "minSamples", max: number): number => {
    const number = shape.number(key, defaultAssert[key]);
    if (number >= 0 && number <= max) return number;
    throw new NinesError("invalid", `${place}.${key}: expected a number from 0 to ${max}`);
  };
  const text = (key: "description" | "runbook") => {
    const given = shape.string(key, "");
    if (given.length <= textCharsMax) return given;
    throw new NinesError("invalid", `${place}.${key}: more than ${textCharsMax} characters`);
  };
  const expr = shape.string("expr");
  const claim = readAt(`${place}.expr`, () => parseExpression(expr));
  const inhibits = (value as { readonly inhibits?: unknown }).inhibits ?? [];
  if (!Array.isArray(inhibits) || inhibits.length > inhibitsMax) {
    throw new NinesError("invalid", `${place}.inhibits: expected a list of at most ${inhibitsMax} matchers`);
  }
  for (const [index, one] of inhibits.entries()) {
    if (typeof one !== "string")
      throw new NinesError("invalid", `${place}.inhibits.${index}: expected a string`);
    readAt(`${place}.inhibits.${index}`, () => parseMatchers(one));
  }
  const record: AssertRecord = {
    expr,
    forMs: within("forMs", timeMsMax),
    keepFiringForMs: within("keepFiringForMs", timeMsMax),
    noData: shape.word("noData", noDataPolicies, defaultAssert.noData),
    minSamples: within("minSamples", 1e9),
    severity: shape.word("severity", severities, defaultAssert.severity),
    description: text("description"),
    runbook: text("runbook"),
    inhibits: inhibits as readonly string[],
    on: shape.boolean("on", true),
  };
  return { name, record, claim, labels: toLabels(name, record, claim) };
}

/** The claim over the series there are, by the assert's policy. `covered` is false while too little of the past is known. */
export function judge(
  { claim, record }: Pick<Assert, "claim" | "record">,
  source: Source,
  at: number,
  { narrow = [], covered = true }: { readonly narrow?: readonly Matcher[]; readonly covered?: boolean } = {},
): Verdicts {
  const finding = evaluate(claim, source, at, narrow);
  if (finding.state === "absent") {
    return { verdict: covered ? record.noData : "unknown", finding };
  }
  if (finding.state !== "unknown" && finding.samples < record.minSamples) {
    const why = `${Math.floor(finding.samples)} of the ${record.minSamples} samples that it asks for`;
    return { verdict: "unknown", finding: { ...finding, why } };
  }
  return { verdict: finding.state, finding };
}

/** How far back it looks. */
export function toReachMs(claim: Claim): number {
  return Math.max(...toMeasures(claim).map((measure) => measure.windowMs));
}

/** What alerts are told apart by; with the app, where the assert is about one. */
function toLabels(name: string, { severity }: AssertRecord, claim: Claim): Labels {
  const apps = new Set(
    toMeasures(claim).map(
      ({ matchers }) => matchers.find(({ label, op }) => label === "app" && op === "=")?.value,
    ),
  );
  const [app] = apps;
  const one = apps.size === 1 && app !== undefined && app !== "";
  return { alertname: name, severity, ...(one ? { app } : {}) };
}

function readAt<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const hint = error instanceof NinesError ? error.hint : undefined;
    throw new NinesError("invalid", `${place}: ${toError(error).message}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
