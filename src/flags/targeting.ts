/**
 * Checks targeting (JSONLogic with flagd's operations) as the specification of flagd has it; pure. The place of
 * each problem is told as a path, `targeting.if[0].sem_ver[1]`.
 */
import { nearest } from "../std/nearest.ts";
import type { Json } from "../wire/flags.ts";
import { depthMax, depthOf, describe, isRule } from "./rule.ts";

export type Report = (place: string, reason: string) => void;
type Check = (value: Json | undefined, place: string, report: Report) => void;

const semVer =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const semVerWords = ["=", "!=", ">", "<", ">=", "<=", "~", "^"];

/** A list of arguments, from `min` to `max` of them, each of which may be a rule or a value. */
const args =
  (min: number, max = Number.POSITIVE_INFINITY): Check =>
  (value, place, report) => {
    if (!Array.isArray(value)) return report(place, "expected a list of arguments");
    if (value.length < min || value.length > max) {
      const range =
        max === min ? `${min}` : max === Number.POSITIVE_INFINITY ? `${min} or more` : `${min} to ${max}`;
      return report(place, `expected ${range} arguments, found ${value.length}`);
    }
    each(value, place, (one, at) => checkArgument(one, at, report));
  };

const unary: Check = (value, place, report) =>
  Array.isArray(value) ? args(1, 1)(value, place, report) : checkArgument(value, place, report);

const variable: Check = (value, place, report) => {
  if (Array.isArray(value)) {
    if (typeof value[0] !== "string") report(`${place}[0]`, "expected the name of a member of the context");
    for (const [at, one] of value.slice(1).entries()) {
      if (one !== null && typeof one === "object")
        report(`${place}[${at + 1}]`, "a default is no list or object");
    }
  } else if (typeof value === "string" && value.startsWith("$flagd.")) {
    if (value === "$flagd.timestamp" || value === "$flagd.flagKey") return;
    report(place, `there is no "${value}"; flagd knows $flagd.timestamp and $flagd.flagKey`);
  }
};

const names: Check = (value, place, report) => {
  if (!Array.isArray(value)) return report(place, "expected a list of names");
  each(value, place, (one, at) => {
    if (typeof one !== "string") report(at, "expected a name");
  });
};

const missingSome: Check = (value, place, report) => {
  if (!Array.isArray(value) || value.length !== 2)
    return report(place, "expected a number and a list of names");
  if (typeof value[0] !== "number") report(`${place}[0]`, "expected a number");
  names(value[1], `${place}[1]`, report);
};

const textOrRule: Check = (value, place, report) => {
  if (typeof value === "string") return;
  if (!isRule(value)) return report(place, `expected a text or a rule, found ${describe(value)}`);
  checkRule(value, place, report);
};

const comparison: Check = (value, place, report) => {
  if (!Array.isArray(value) || value.length !== 2) return report(place, "expected two texts");
  each(value, place, (one, at) => textOrRule(one, at, report));
};

const version: Check = (value, place, report) => {
  if (isRule(value)) {
    if (Object.keys(value).join() !== "var") report(place, "expected a version or a var");
    return checkRule(value, place, report);
  }
  if (typeof value === "string" && semVer.test(value)) return;
  report(place, `${describe(value)} is no semantic version, as 1.2.3`);
};

const semVerRule: Check = (value, place, report) => {
  if (!Array.isArray(value) || value.length !== 3) {
    return report(place, "expected a version, a comparison and a version");
  }
  version(value[0], `${place}[0]`, report);
  if (!semVerWords.includes(value[1] as string)) {
    report(`${place}[1]`, `${describe(value[1])} is none of ${semVerWords.join(" ")}`);
  }
  version(value[2], `${place}[2]`, report);
};

const share: Check = (value, place, report) => {
  if (!Array.isArray(value)) return report(place, "expected [VARIANT, WEIGHT]");
  if (value.length < 1 || value.length > 2)
    return report(place, `expected [VARIANT, WEIGHT], found ${value.length} members`);
  checkArgument(value[0], `${place}[0]`, report);
  const weight = value[1];
  if (weight === undefined) return;
  if (isRule(weight)) return checkRule(weight, `${place}[1]`, report);
  if (typeof weight === "number" && Number.isInteger(weight) && weight >= 0) return;
  report(`${place}[1]`, `a weight is a whole number of 0 or more, not ${describe(weight)}`);
};

const weightsMax = 2_147_483_647;

const fractional: Check = (value, place, report) => {
  if (!Array.isArray(value) || value.length === 0)
    return report(place, "expected a list of [VARIANT, WEIGHT]");
  let shares = value;
  let offset = 0;
  if (!Array.isArray(value[0])) {
    if (!isRule(value[0])) {
      return report(
        `${place}[0]`,
        `expected a rule that gives the key to split by, or [VARIANT, WEIGHT], found ${describe(value[0])}`,
      );
    }
    checkRule(value[0], `${place}[0]`, report);
    shares = value.slice(1);
    offset = 1;
  }
  each(value, place, (one, at, index) => {
    if (index >= offset) share(one, at, report);
  });
  const sum = shares.reduce<number>((total, one) => {
    const weight = Array.isArray(one) ? (one[1] ?? 1) : 0;
    return total + (typeof weight === "number" ? weight : 0);
  }, 0);
  if (sum > weightsMax) report(place, `the weights add up to ${sum}, more than ${weightsMax}`);
};

const reference: Check = (value, place, report) => {
  if (typeof value !== "string") report(place, "expected the name of an evaluator");
};

const operations: Readonly<Record<string, Check>> = {
  var: variable,
  missing: names,
  missing_some: missingSome,
  if: args(1),
  ...Object.fromEntries(
    ["==", "===", "!=", "!==", ">", ">=", "%", "/", "in"].map((name) => [name, args(2, 2)]),
  ),
  ...Object.fromEntries(["map", "filter", "all", "none", "some"].map((name) => [name, args(2, 2)])),
  ...Object.fromEntries(["substr", "<", "<="].map((name) => [name, args(2, 3)])),
  "*": args(2),
  "!": unary,
  "!!": unary,
  ...Object.fromEntries(["or", "and", "+", "-", "max", "min", "merge", "cat"].map((name) => [name, args(1)])),
  reduce: args(3, 3),
  starts_with: comparison,
  ends_with: comparison,
  sem_ver: semVerRule,
  fractional,
  $ref: reference,
};

/** Tells every problem of a flag's targeting. Empty targeting is none. */
export function checkTargeting(value: Json | undefined, place: string, report: Report): void {
  if (value === undefined) return;
  if (!isRule(value)) return report(place, `expected an object, found ${describe(value)}`);
  if (depthOf(value, depthMax) > depthMax) return report(place, `it is more than ${depthMax} levels deep`);
  if (Object.keys(value).length > 0) checkRule(value, place, report);
}

function checkRule(rule: Readonly<Record<string, Json | undefined>>, place: string, report: Report): void {
  const [name, ...others] = Object.keys(rule);
  if (name === undefined || others.length > 0) {
    return report(
      place,
      `a rule has one operation, found ${name === undefined ? "none" : [name, ...others].join(", ")}`,
    );
  }
  const check = Object.hasOwn(operations, name) ? operations[name] : undefined;
  if (check !== undefined) return check(rule[name], `${place}.${name}`, report);
  const near = nearest(name, Object.keys(operations));
  report(place, `there is no operation "${name}"${near === undefined ? "" : `; did you mean "${near}"?`}`);
}

function checkArgument(value: Json | undefined, place: string, report: Report): void {
  if (isRule(value)) checkRule(value, place, report);
  else if (Array.isArray(value)) {
    each(value, place, (one, at) => {
      if (isRule(one)) checkRule(one, at, report);
    });
  }
}

/** Calls with each member and its place. */
function each(
  list: readonly Json[],
  place: string,
  check: (one: Json, place: string, index: number) => void,
): void {
  for (const [index, one] of list.entries()) check(one, `${place}[${index}]`, index);
}
