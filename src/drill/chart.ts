/** One chart over the seconds of a drill, as SVG: values, and below them a band of what was done. Pure. */

export interface Band {
  readonly fromS: number;
  readonly toS: number;
  readonly style: "kill" | "stop" | "change" | "other";
  /** Shown to whoever points at it. */
  readonly title: string;
}

export interface Chart {
  readonly title: string;
  /** Class of the line; `fail` is drawn as bars. */
  readonly series: string;
  readonly unit: string;
  /** One a second. */
  readonly values: readonly number[];
  readonly seconds: number;
  readonly bands: readonly Band[];
}

/** With names for the colours of day and night. */
export const colours = `:root { color-scheme: light dark; --ink: #1c1e21; --dim: #6a7078; --line: #e2e4e8; --paper: #fff; --card: #f7f8f9;
  --good: #1a7f4b; --bad: #c62f2f; --blue: #2f6fd0; --amber: #c07a12; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --dim: #98a0a8; --line: #33383e; --paper: #16181b;
  --card: #1e2125; --good: #4cc38a; --bad: #f07171; --blue: #74a7f5; --amber: #e0a44a; } }`;

export const chartStyle = `svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
.axis { stroke: var(--line); } .rate { stroke: var(--blue); } .p99 { stroke: var(--amber); } .fail { fill: var(--bad); }
path { fill: none; stroke-width: 1.5; } .band { opacity: .8; } .band.kill { fill: var(--bad); } .band.stop { fill: var(--amber); }
.band.change { fill: var(--blue); } .band.other { fill: var(--dim); }`;

/** Of one chart, in pixels. */
export const chartSize = { width: 1_032, height: 150 } as const;
const { width, height } = chartSize;
const [left, top, bandTop] = [46, 18, 124];
const plotHeight = bandTop - top - 8;
const ticksMax = 12;
const columnsMax = 980;

export function drawChart({ title, series, unit, values, seconds, bands }: Chart): string {
  const every = Math.ceil(values.length / columnsMax);
  const most = niceAbove(values.reduce((max, value) => Math.max(max, value), 1));
  const x = (second: number) => left + (second / Math.max(1, seconds)) * (width - left - 6);
  const y = (value: number) => top + plotHeight - (value / most) * plotHeight;
  const line =
    series === "fail"
      ? mostOfEach(values, every)
          .map((value, at) =>
            value === 0
              ? ""
              : `<rect class="fail" x="${fix(x(at * every))}" y="${fix(y(value))}" width="${fix(Math.max(1.5, x(every) - x(0)))}" height="${fix(top + plotHeight - y(value))}"/>`,
          )
          .join("")
      : `<path class="${series}" d="${mostOfEach(values, every)
          .map((value, at) => `${at === 0 ? "M" : "L"}${fix(x((at + 0.5) * every))} ${fix(y(value))}`)
          .join("")}"/>`;
  const marks = bands
    .map(
      (band) =>
        `<rect class="band ${band.style}" x="${fix(x(band.fromS))}" y="${bandTop - 4}" width="${fix(Math.max(2, x(band.toS) - x(band.fromS)))}" height="8"><title>${toHtml(band.title)}</title></rect>`,
    )
    .join("");
  return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${toHtml(title)}">
<text x="${left}" y="11">${toHtml(title)}</text>
${[0, most / 2, most].map((value) => `<line class="axis" x1="${left}" x2="${width - 6}" y1="${fix(y(value))}" y2="${fix(y(value))}"/><text x="${left - 6}" y="${fix(y(value) + 4)}" text-anchor="end">${value}${unit === " ms" || unit === "/s" ? "" : unit}</text>`).join("")}
${ticks(seconds)
  .map(
    (second) =>
      `<text x="${fix(x(second))}" y="${height - 4}" text-anchor="${second >= seconds * 0.98 ? "end" : "middle"}">${toClock(second)}</text>`,
  )
  .join("")}
${line}${marks}</svg>`;
}

/** Of a long drill several seconds share a column: the worst of them is drawn. */
function mostOfEach(values: readonly number[], every: number): readonly number[] {
  return Array.from({ length: Math.ceil(values.length / every) }, (_, at) =>
    Math.max(...values.slice(at * every, (at + 1) * every)),
  );
}

function ticks(seconds: number): number[] {
  const every =
    [5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600].find((step) => seconds / step <= ticksMax) ?? 7_200;
  return Array.from({ length: Math.floor(seconds / every) + 1 }, (_, at) => at * every);
}

/** 1, 2, 4 or 10 times a power of ten: half of it is a round number, too. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

function toClock(second: number): string {
  return `${Math.floor(second / 60)}:${String(second % 60).padStart(2, "0")}`;
}

function fix(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function toHtml(text: string): string {
  return text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
}
