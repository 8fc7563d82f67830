/** The report as one picture, for a document: the verdict, the sums, the charts. SVG that needs nothing else. Pure. */
import { chartSize, chartStyle, colours, toHtml } from "./chart.ts";
import { drawCharts } from "./charts.ts";
import type { Report } from "./report.ts";
import { n } from "./text.ts";

const [margin, headHeight, gap, footHeight] = [20, 84, 10, 24] as const;
const legend = [
  ["bad", "killed"],
  ["amber", "stopped, paused, away"],
  ["blue", "changed, restarted"],
  ["dim", "other"],
] as const;
const legendStep = 190;

export function toPicture(report: Report): string {
  const { verdict, requests, messages, writes } = report;
  const charts = drawCharts(report);
  const height = headHeight + charts.length * (chartSize.height + gap) + footHeight;
  const sums = [
    `${n(requests.answered)} requests answered, ${n(requests.unexcused)} failed that had no excuse`,
    `${n(messages.acked)} messages acked, ${n(messages.lost)} lost`,
    `${n(writes.accepted)} writes accepted, ${n(writes.lost)} lost`,
  ];
  const places = charts.map(
    (chart, at) =>
      `<g transform="translate(${margin} ${headHeight + at * (chartSize.height + gap)})">${chart}</g>`,
  );
  const marks = legend.map(
    ([colour, what], at) =>
      `<rect x="${margin + 46 + at * legendStep}" y="${height - footHeight}" width="10" height="10" rx="2" fill="var(--${colour})"/><text x="${margin + 62 + at * legendStep}" y="${height - footHeight + 9}">${what}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${chartSize.width + 2 * margin} ${height}" role="img" aria-label="${toHtml(verdict.line)}">
<style>${colours}
${chartStyle}
.paper { fill: var(--paper); } svg .title { fill: var(--${verdict.held ? "good" : "bad"}); font: 600 17px system-ui, sans-serif; }</style>
<rect class="paper" width="100%" height="100%"/>
<text class="title" x="${margin}" y="30">${verdict.held ? "✓" : "✗"} ${toHtml(verdict.line)}</text>
<text x="${margin}" y="50">nines drill --minutes ${report.minutes} --seed ${report.seed}: ${report.deeds.length} things done to a platform under load, Nines ${toHtml(report.version)}</text>
<text x="${margin}" y="66">${sums.join("; ")}</text>
${places.join("\n")}
${marks.join("")}
</svg>
`;
}
