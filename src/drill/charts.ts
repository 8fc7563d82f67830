/** The charts of a drill, one above the other: requests, their p99, failures, and below each what was done when. Pure. */
import { type Band, drawChart } from "./chart.ts";
import type { Report } from "./report.ts";

export function drawCharts({ timeline, deeds, seconds }: Report): readonly string[] {
  const bands: Band[] = deeds.map((deed) => ({
    fromS: deed.atMs / 1_000,
    toS: (deed.atMs + deed.endedAt - deed.startedAt) / 1_000,
    style: toStyle(deed.kind),
    title: `${deed.kind} ${deed.targets.join(", ")}${deed.backMs === undefined ? "" : `: back after ${Math.round(deed.backMs)} ms`}`,
  }));
  const chart = (title: string, series: string, values: readonly number[], unit: string) =>
    drawChart({ title, series, unit, values, seconds, bands });
  return [
    chart(
      "requests answered a second",
      "rate",
      timeline.map((one) => one.requests - one.shed - one.failed),
      "/s",
    ),
    chart(
      "p99 of the requests; an order waits while all brokers are away",
      "p99",
      timeline.map((one) => one.p99Ms),
      " ms",
    ),
    chart(
      "failed requests, beside those shed under ten times the load",
      "fail",
      timeline.map((one) => one.failed),
      "",
    ),
  ];
}

function toStyle(kind: string): Band["style"] {
  if (/^(kill|cold)/.test(kind)) return "kill";
  if (/^(stop|pause|away)/.test(kind)) return "stop";
  if (/^(deploy|rollback|scale|config|flag|valve|restart)/.test(kind)) return "change";
  return "other";
}
