/** Expressions written out again, in one form. */
import type { Claim, Measure, Value } from "./expression.ts";
import type { Matcher } from "./matcher.ts";

/** `{app="shop",code=~"5.."}`; empty without matchers. */
export function toMatchersText(matchers: readonly Matcher[]): string {
  if (matchers.length === 0) return "";
  return `{${matchers.map(({ label, op, value }) => `${label}${op}${JSON.stringify(value)}`).join(",")}}`;
}

/** `1m30s`; whole milliseconds. */
export function toWindowText(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
    ["ms", 1],
  ] as const;
  let left = Math.round(ms);
  const parts = units.map(([unit, size]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count === 0 ? "" : `${count}${unit}`;
  });
  return parts.join("") || "0s";
}

/** The metrics of a claim or value with their functions, as people recognise them. */
export function toMeasureText({ function: name, quantile, metric, matchers }: Measure): string {
  const head = name === "quantile" ? `p${Number((quantile * 100).toFixed(3))}` : name;
  return `${head}(${metric}${toMatchersText(matchers)})`;
}

/** Binds as tight as it was read. */
export function toText(of: Claim | Value, measure: (one: Measure) => string): string {
  switch (of.kind) {
    case "number":
      return String(of.value);
    case "measure":
      return measure(of);
    case "negate":
      return `-(${toText(of.of, measure)})`;
    case "arithmetic":
      return `(${toText(of.left, measure)} ${of.sign} ${toText(of.right, measure)})`;
    case "compare":
      return `${toText(of.left, measure)} ${of.sign} ${toText(of.right, measure)}`;
    default:
      return `(${toText(of.left, measure)} ${of.kind} ${toText(of.right, measure)})`;
  }
}
