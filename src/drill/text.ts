/** The report as a person reads it in a terminal. Pure. */
import type { Report } from "./report.ts";

const examplesMax = 5;

export function toText(report: Report): string {
  const { requests, messages, writes, flags, verdict } = report;
  const rows = report.recovery
    .toSorted((a, b) => a.kind.localeCompare(b.kind))
    .map((one) => [
      one.kind,
      n(one.times),
      n(one.failed),
      one.p50Ms === 0 ? "-" : n(one.p50Ms),
      one.p99Ms === 0 ? "-" : n(one.p99Ms),
    ]);
  const lines = [
    ...columns(["done", "times", "failed requests", "back ms p50", "p99"], rows),
    "",
    `requests  ${n(requests.answered)} answered, p50 ${requests.p50Ms} ms, p99 ${requests.p99Ms} ms; ${n(requests.failed)} failed: ${n(requests.excused)} inside what was killed, ${n(requests.shed)} shed, ${n(requests.unexcused)} elsewhere`,
    `messages  ${n(messages.acked)} acked, ${n(messages.delivered)} delivered, ${n(messages.repeated)} repeated, ${n(messages.lost)} lost`,
    `writes    ${n(writes.accepted)} accepted (${n(writes.spooled)} on disk first), ${n(writes.delivered)} delivered, ${n(writes.repeated)} repeated, ${n(writes.lost)} lost`,
    `flags     ${n(flags.asked)} reads, ${n(flags.unanswered)} unanswered; ${n(flags.changes)} changes seen after ${flags.spreadP50Ms} ms (p50), ${flags.spreadP99Ms} ms (p99)`,
    ...report.overloads.map(
      (one) =>
        `overload  ${n(one.admitted)} admitted with p99 ${one.admittedP99Ms.toFixed(1)} ms (${one.normalP99Ms.toFixed(1)} is normal), ${n(one.shed)} shed; normal again after ${one.normalAfterMs / 1_000} s`,
    ),
    ...toLeakLines(report),
    ...(report.leftOut.length === 0 ? [] : [`left out  ${report.leftOut.join(", ")}`]),
    "",
  ];
  for (const claim of verdict.claims) {
    if (claim.broken.length === 0) continue;
    lines.push(`BROKEN    ${claim.sentence}`);
    for (const example of claim.broken.slice(0, examplesMax)) lines.push(`          ${example}`);
    const more = claim.broken.length - examplesMax;
    if (more > 0) lines.push(`          and ${n(more)} more`);
  }
  return lines.join("\n");
}

/** The parts together, and what is not of a part. */
function toLeakLines({ leaks }: Report): string[] {
  if (leaks.length === 0) return [];
  const sum = (what: string, when: "before" | "after") =>
    Math.round(leaks.filter((one) => one.what.endsWith(what)).reduce((all, one) => all + one[when], 0));
  const names = ["memory MB", "descriptors", "processes", "temporary files", "journals MB", "database MB"];
  return [
    `used      ${names.map((what) => `${what} ${n(sum(what, "before"))} → ${n(sum(what, "after"))}`).join(", ")}`,
  ];
}

/** First column to the left, numbers to the right. */
function columns(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at]?.length ?? 0)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  "),
  );
}

/** 12345 as 12,345. */
export function n(count: number): string {
  return count.toLocaleString("en-US");
}
