/** `nines top`: what the apps do now. `nines metrics`: what one metric did. */
import { parseDuration } from "../../std/duration.ts";
import type { MetricSeries, MetricsReply } from "../../wire/metrics.ts";
import type { Client } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { type AppLoad, toBytes, toLoads, topSelectors, toShort } from "../metric-table.ts";
import { type Output, toTable } from "../output.ts";

const topWindow = "10s";
const topIntervalMs = 1_000;

function ask(client: Client, selectors: readonly string[], window: string): Promise<MetricsReply> {
  const query = new URLSearchParams({ window });
  for (const name of selectors) query.append("name", name);
  return client.json<MetricsReply>(`/v1/metrics?${query}`);
}

export const top = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  notes: "Live on a terminal, until Ctrl-C; elsewhere, and with --json, once. Rates are of ten seconds.",
  async run({ flags, out, client }) {
    const look = async () => toLoads(await ask(client, topSelectors, topWindow));
    if (flags.json) {
      out.json(await look());
      return 0;
    }
    if (!out.stdout.isTTY) {
      out.table(...toTopTable(out, await look()));
      return 0;
    }
    for (;;) {
      const loads = await look();
      const lines = toTable(...toTopTable(out, loads), out.stdout.columns ?? 80);
      const busy = loads.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0);
      const head = `${new Date().toLocaleTimeString()}   ${loads.length} apps   ${toShort(busy)} requests/s`;
      out.stdout.write(`\x1b[H\x1b[2J${head}\n\n${lines.join("\n")}\n`);
      await new Promise((resolve) => setTimeout(resolve, topIntervalMs));
    }
  },
});

export const metrics = defineCommand({
  places: '[NAME{LABEL="VALUE", …}]',
  args: { min: 0, max: 1 },
  flags: {
    window: { kind: "text", short: "w", value: "1m", summary: "how far back (1m)" },
    json: jsonFlag,
  },
  notes: "Without a name: all names. Labels match with =, !=, =~ and !~.",
  async run({ args, flags, out, client }) {
    const [selector] = args;
    const window = flags.window ?? "1m";
    parseDuration(window, "--window");
    const reply = await ask(client, selector === undefined ? [] : [selector], window);
    const [metric] = reply.metrics;
    if (metric === undefined) {
      if (flags.json) out.json(reply.names);
      else for (const name of reply.names) out.line(name);
      return 0;
    }
    if (flags.json) out.json(metric);
    else if (metric.series.length === 0) {
      const known = reply.names.includes(metric.name);
      out.note(
        known
          ? `no series of ${metric.name} matches in the last ${window}`
          : `nothing is called ${metric.name}`,
      );
    } else out.table(...toMetricTable(metric.series));
    return 0;
  },
});

type Table = [head: readonly string[], rows: readonly (readonly string[])[]];

function toTopTable(out: Output, loads: readonly AppLoad[]): Table {
  return [
    ["APP", "REQ/S", "P50", "P99", "ERRORS", "IN FLIGHT", "UP", "CPU", "MEMORY"],
    loads.map((load) => [
      load.app,
      toShort(load.requestsPerSecond),
      load.p50Ms === null ? "-" : `${toShort(load.p50Ms)} ms`,
      load.p99Ms === null ? "-" : `${toShort(load.p99Ms)} ms`,
      toErrors(out, load.errorRate),
      String(load.inflight),
      load.actual < load.desired
        ? out.paint("red", `${load.actual}/${load.desired}`)
        : `${load.actual}/${load.desired}`,
      `${Math.round(load.cpu * 100)} %`,
      toBytes(load.memoryBytes),
    ]),
  ];
}

function toErrors(out: Output, rate: number | null): string {
  if (rate === null) return "-";
  const text = `${toShort(rate * 100)} %`;
  return rate > 0.01 ? out.paint("red", text) : text;
}

function toMetricTable(series: readonly MetricSeries[]): Table {
  const names = (labels: MetricSeries["labels"]) =>
    Object.entries(labels)
      .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
      .join(" ");
  const kind = series[0]?.kind ?? "gauge";
  const columns = {
    gauge: ["last", "min", "max", "avg"],
    counter: ["increase", "perSecond"],
    histogram: ["increase", "perSecond", "avg", "p50", "p90", "p99"],
  } as const;
  const shown: readonly (keyof MetricSeries)[] = columns[kind];
  const titles: Readonly<Record<string, string>> = { increase: "COUNT", perSecond: "PER SECOND" };
  return [
    ["SERIES", ...shown.map((column) => titles[column] ?? column.toUpperCase())],
    series.map((one) => [
      names(one.labels) || "-",
      ...shown.map((column) => toShort(one[column] as number | null)),
    ]),
  ];
}
