/** What an assert's expression is once it was read. */
import type { Matcher } from "./matcher.ts";

export const aggregates = ["sum", "avg", "min", "max", "count"] as const;
export const counters = ["rate", "increase"] as const;
export const functions = [...aggregates, ...counters, "age"] as const;
export type FunctionName = (typeof functions)[number];

/** One number out of all the series that match. */
export interface Measure {
  readonly kind: "measure";
  readonly function: FunctionName | "quantile";
  /** Of a quantile: 0 to 1. */
  readonly quantile: number;
  readonly metric: string;
  readonly matchers: readonly Matcher[];
  readonly windowMs: number;
  readonly column: number;
}

export type Value =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "negate"; readonly of: Value }
  | {
      readonly kind: "arithmetic";
      readonly sign: "+" | "-" | "*" | "/";
      readonly left: Value;
      readonly right: Value;
    }
  | Measure;

export const comparisons = ["<", "<=", ">", ">=", "==", "!="] as const;
export type Comparison = (typeof comparisons)[number];

/** What is claimed to hold always. */
export type Claim =
  | { readonly kind: "compare"; readonly sign: Comparison; readonly left: Value; readonly right: Value }
  | { readonly kind: "and" | "or"; readonly left: Claim; readonly right: Claim };

/** All that a claim or a value measures, from left to right. */
export function toMeasures(of: Claim | Value): readonly Measure[] {
  switch (of.kind) {
    case "number":
      return [];
    case "measure":
      return [of];
    case "negate":
      return toMeasures(of.of);
    default:
      return [...toMeasures(of.left), ...toMeasures(of.right)];
  }
}
