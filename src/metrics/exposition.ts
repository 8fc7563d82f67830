/**
 * Everything a controller knows, as Prometheus reads it: text 0.0.4, or OpenMetrics 1.0. Base units: what is
 * `http.latency_ms` inside is `nines_http_latency_seconds` here.
 */
import { toHelp } from "./catalogue.ts";
import type { Labels } from "./key.ts";
import type { Kind } from "./report.ts";
import type { Series } from "./store.ts";
import type { Totals } from "./totals.ts";

/** What is shown of one series. */
export interface Shown {
  readonly series: Series;
  /** Of a gauge: its level now. */
  readonly value: number;
}

export type Format = "text" | "openmetrics";

export const contentTypes: Readonly<Record<Format, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** What an Accept header asks for. */
export function chooseFormat(accept: string | null): Format {
  return accept?.includes("application/openmetrics-text") ? "openmetrics" : "text";
}

interface Family {
  readonly name: string;
  readonly kind: Kind;
  /** What a value is multiplied with. */
  readonly scale: number;
  readonly unit: string;
  readonly help: string;
  readonly shown: Shown[];
}

/** Bounds of buckets, as powers of two: of milliseconds, an eighth of one to two minutes; of others, 1 to 2^40. */
const powersOfMs = range(-3, 17, 1);
const powers = range(0, 40, 2);

export function toExposition(all: Iterable<Shown>, format: Format): string {
  const families = toFamilies(all);
  const lines: string[] = [];
  for (const family of families) {
    const { name, kind, help, unit } = family;
    const titled = format === "text" && kind === "counter" ? `${name}_total` : name;
    lines.push(`# HELP ${titled} ${help}`, `# TYPE ${titled} ${kind}`);
    if (format === "openmetrics" && unit !== "") lines.push(`# UNIT ${name} ${unit}`);
    for (const one of family.shown) addLines(lines, family, one, format);
  }
  if (format === "openmetrics") lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

function toFamilies(all: Iterable<Shown>): readonly Family[] {
  const families = new Map<string, Family>();
  for (const shown of all) {
    const { name, kind } = shown.series;
    const isMs = name.endsWith("_ms");
    const base = isMs ? `${name.slice(0, -3)}_seconds` : name;
    const title = `nines_${base.replaceAll(".", "_")}`;
    let family = families.get(title);
    if (family === undefined) {
      const unit = isMs ? "seconds" : name.endsWith("_bytes") ? "bytes" : "";
      family = { name: title, kind, scale: isMs ? 0.001 : 1, unit, help: toHelp(name), shown: [] };
      families.set(title, family);
    }
    // Two metrics that only differ where Prometheus knows no difference cannot both be shown.
    if (family.kind === kind && (family.shown[0]?.series.name ?? name) === name) family.shown.push(shown);
  }
  return [...families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function addLines(lines: string[], family: Family, { series, value }: Shown, format: Format): void {
  const { name, kind, scale } = family;
  const labels = toLabels(series.labels);
  const all = labels === "" ? "" : `{${labels}}`;
  if (kind === "gauge") lines.push(`${name}${all} ${value * scale}`);
  else if (kind === "counter") lines.push(`${name}_total${all} ${series.total * scale}`);
  else addHistogram(lines, family, series.totals!, labels, format);
}

function addHistogram(
  lines: string[],
  family: Family,
  histogram: Totals,
  labels: string,
  format: Format,
): void {
  const { name, scale } = family;
  const start = labels === "" ? "" : `${labels},`;
  for (const power of scale === 1 ? powers : powersOfMs) {
    const bound = 2 ** power * scale;
    const text = format === "openmetrics" && Number.isInteger(bound) ? `${bound}.0` : String(bound);
    lines.push(`${name}_bucket{${start}le="${text}"} ${histogram.countUpTo(power)}`);
  }
  const all = labels === "" ? "" : `{${labels}}`;
  lines.push(`${name}_bucket{${start}le="+Inf"} ${histogram.count}`);
  lines.push(`${name}_sum${all} ${histogram.sum * scale}`, `${name}_count${all} ${histogram.count}`);
}

function toLabels(labels: Labels): string {
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}="${quote(value)}"`)
    .join(",");
}

function quote(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function range(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
}
