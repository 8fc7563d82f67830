/** Both runs of the outage, side by side. */
export interface Week {
  /** What stood between the change and the users. */
  readonly guarded: boolean;
  readonly alarmMs: number | undefined;
  readonly alarms: readonly string[];
  readonly watchedMs: number;
  readonly requests: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly asked: number;
  readonly launches: number;
  readonly lost: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly phantoms: number;
  readonly diskWorstMs: number;
}

export function toReport(without: Week, guarded: Week): string {
  const rows: readonly (readonly [string, (week: Week) => string])[] = [
    ["asserts and valves", ({ guarded }) => (guarded ? "on" : "off")],
    ["alarm after the change", ({ alarmMs }) => toMs(alarmMs)],
    ["alarms", ({ alarms }) => alarms.join(" ") || "none"],
    ["Saturday was watched for", ({ watchedMs }) => toMs(watchedMs)],
    ["requests", ({ requests }) => String(requests)],
    ["of them failed", ({ failed }) => String(failed)],
    ["p50", ({ p50Ms }) => toMs(p50Ms)],
    ["p99", ({ p99Ms }) => toMs(p99Ms)],
    ["longest", ({ maxMs }) => toMs(maxMs)],
    ["instances asked for", ({ asked }) => String(asked)],
    ["launches", ({ launches }) => String(launches)],
    ["serving instances lost", ({ lost }) => String(lost)],
    ["errors", ({ errors }) => toPairs(errors) || "none"],
    ["phantoms", ({ phantoms }) => String(phantoms)],
    ["longest queue of the disk", ({ diskWorstMs }) => toMs(diskWorstMs)],
  ];
  const cells = rows.map(([name, show]) => [name, show(without), show(guarded)] as const);
  const width = (at: 0 | 1 | 2) => Math.max(...cells.map((cell) => cell[at].length));
  return cells
    .map((cell) =>
      cell
        .map((text, at) => text.padEnd(width(at as 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function toPairs(of: Readonly<Record<string, number>>): string {
  return Object.entries(of)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}

function toMs(ms: number | undefined): string {
  return ms === undefined ? "-" : `${Math.round(ms)} ms`;
}
