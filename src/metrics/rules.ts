/**
 * Asserts as Prometheus alerting rules: the claim turned around, over the series that /metrics shows, with
 * `or absent(…)` where no data is a violation. Pure.
 */
import type { Assert } from "./assert.ts";
import { type Claim, type Comparison, type Measure, toMeasures } from "./expression.ts";
import { toMatchersText, toText, toWindowText } from "./expression-text.ts";
import { defaultWindowMs } from "./parser.ts";

const opposite: Readonly<Record<Comparison, Comparison>> = {
  "<": ">=",
  "<=": ">",
  ">": "<=",
  ">=": "<",
  "==": "!=",
  "!=": "==",
};

/** A rules file for Prometheus, to be written as YAML. `kindOf` tells what a metric is, as far as it was ever seen. */
export function toRules(asserts: readonly Assert[], kindOf: (metric: string) => string | undefined): object {
  const rules = asserts
    .filter((assert) => assert.record.on)
    .map(({ name, record, claim, labels }) => ({
      alert: name,
      expr: toViolation(claim, record.noData === "violated", kindOf),
      ...(record.forMs > 0 ? { for: toWindowText(record.forMs) } : {}),
      ...(record.keepFiringForMs > 0 ? { keep_firing_for: toWindowText(record.keepFiringForMs) } : {}),
      labels: Object.fromEntries(Object.entries(labels).filter(([label]) => label !== "alertname")),
      annotations: {
        summary: `assert violated: ${record.expr}`,
        ...(record.description === "" ? {} : { description: record.description }),
        ...(record.runbook === "" ? {} : { runbook_url: record.runbook }),
      },
    }));
  return { groups: [{ name: "nines", interval: "1s", rules }] };
}

function toViolation(claim: Claim, absent: boolean, kindOf: (metric: string) => string | undefined): string {
  const violated = toOpposite(claim, kindOf);
  if (!absent) return violated;
  const series = [
    ...new Set(toMeasures(claim).map((one) => `${toName(one, kindOf)}${toMatchersText(one.matchers)}`)),
  ];
  return [violated, ...series.map((one) => `absent(${one})`)].join(" or ");
}

/** De Morgan: what is violated of "a and b" is "not a or not b". */
function toOpposite(claim: Claim, kindOf: (metric: string) => string | undefined): string {
  if (claim.kind === "compare") {
    const write = (one: Measure) => toPromql(one, kindOf);
    return `(${toText(claim.left, write)} ${opposite[claim.sign]} ${toText(claim.right, write)})`;
  }
  const sign = claim.kind === "and" ? "or" : "and";
  return `(${toOpposite(claim.left, kindOf)} ${sign} ${toOpposite(claim.right, kindOf)})`;
}

function toPromql(one: Measure, kindOf: (metric: string) => string | undefined): string {
  const kind = kindOf(one.metric);
  const base = toName(one, kindOf);
  const at = (suffix = "") =>
    `${base.replace(/_(?:count|bucket)$/, "")}${suffix}${toMatchersText(one.matchers)}`;
  const window = `[${toWindowText(one.windowMs || defaultWindowMs)}]`;
  const isHistogram = kind === "histogram" || one.function === "quantile";
  switch (one.function) {
    case "quantile":
      return `histogram_quantile(${Number(one.quantile.toFixed(6))}, sum by (le) (rate(${at("_bucket")}${window})))`;
    case "rate":
    case "increase":
      return `sum(${one.function}(${base}${toMatchersText(one.matchers)}${window}))`;
    case "age":
      return `((time() - max(timestamp(${at()}))) * 1000)`;
    case "count":
      return `count(${base}${toMatchersText(one.matchers)})`;
    case "avg":
      if (isHistogram) return `(sum(rate(${at("_sum")}${window})) / sum(rate(${at("_count")}${window})))`;
      break;
    case "sum":
      if (isHistogram) return `sum(increase(${at("_sum")}${window}))`;
      break;
    case "min":
    case "max":
      if (isHistogram) {
        return `histogram_quantile(${one.function === "min" ? 0 : 1}, sum by (le) (rate(${at("_bucket")}${window})))`;
      }
  }
  if (one.windowMs === 0) return `${one.function}(${at()})`;
  const over = one.function === "min" || one.function === "max" ? one.function : "avg";
  if (kind === "counter") return `${one.function}(increase(${at()}${window}))`;
  return `${one.function}(${over}_over_time(${at()}${window}))`;
}

/** The series that is there in any case. */
function toName(one: Measure, kindOf: (metric: string) => string | undefined): string {
  const name = one.metric.replaceAll(".", "_");
  const kind = kindOf(one.metric) ?? (one.function === "quantile" ? "histogram" : undefined);
  if (kind === "histogram") return `${name}_count`;
  const counts = one.function === "rate" || one.function === "increase";
  return kind === "counter" || (kind === undefined && counts) ? `${name}_total` : name;
}
