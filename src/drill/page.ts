/** The report as one page of HTML that needs nothing else: no script, no font, no picture from anywhere. Pure. */
import { chartStyle, colours, toHtml } from "./chart.ts";
import { drawCharts } from "./charts.ts";
import type { Report } from "./report.ts";
import { n } from "./text.ts";

const style = `
${colours}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 32px 24px 64px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 16px; margin: 36px 0 8px; }
p { margin: 4px 0; } .dim { color: var(--dim); }
.verdict { margin: 16px 0 24px; padding: 14px 18px; border-left: 5px solid var(--good); background: var(--card);
  font-size: 18px; font-weight: 600; } .verdict.broken { border-color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; }
.card { background: var(--card); padding: 12px 14px; border-radius: 6px; } .card b { display: block; font-size: 22px; }
.card span { color: var(--dim); font-size: 13px; display: block; }
table { border-collapse: collapse; width: 100%; font-size: 14px; } th { text-align: left; color: var(--dim); font-weight: 500; }
th, td { padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; } .good { color: var(--good); } .bad { color: var(--bad); }
svg { width: 100%; height: auto; display: block; }
${chartStyle}
ul { margin: 4px 0 12px; padding-left: 20px; } code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin: 0 4px 0 14px; }
details { margin-top: 12px; } summary { cursor: pointer; color: var(--dim); }
`;

const examplesMax = 20;

export function toPage(report: Report): string {
  const { verdict } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>nines drill, seed ${report.seed}: ${verdict.held ? "held" : "broken"}</title><style>${style}</style></head>
<body>
<h1>nines drill</h1>
<p class="dim">${toHtml(report.startedAt.slice(0, 19).replace("T", " "))} UTC · ${report.seconds} s · seed ${report.seed} ·
${report.deeds.length} of ${report.planned} steps · Nines ${toHtml(report.version)} · repeat it: <code>nines drill --minutes ${report.minutes} --seed ${report.seed}</code></p>
<div class="verdict${verdict.held ? "" : " broken"}">${verdict.held ? "✓" : "✗"} ${toHtml(verdict.line)}</div>
${toCards(report)}
<h2>What happened when</h2>
${toTimeline(report)}
<h2>How long until it was back</h2>
${toRecoveryTable(report)}
<h2>The promises</h2>
${toClaims(report)}
${toUsage(report)}<details><summary>Every step</summary>${toSteps(report)}</details>
</body></html>
`;
}

function toCards({ requests, messages, writes, flags }: Report): string {
  const card = (value: string, what: string, lines: readonly string[]) =>
    `<div class="card"><span>${what}</span><b>${value}</b>${lines.map((line) => `<span>${line}</span>`).join("")}</div>`;
  return `<div class="cards">${[
    card(n(requests.answered), "requests answered", [
      `p50 ${requests.p50Ms} ms, p99 ${requests.p99Ms} ms`,
      `${n(requests.excused)} failed inside what was killed`,
      ...(requests.shed > 0 ? [`${n(requests.shed)} shed under overload`] : []),
      `<span class="${requests.unexcused > 0 ? "bad" : "good"}">${n(requests.unexcused)} failed elsewhere</span>`,
    ]),
    card(n(messages.acked), "messages acked", [
      `${n(messages.delivered)} delivered, ${n(messages.repeated)} repeated`,
      `<span class="${messages.lost > 0 ? "bad" : "good"}">${n(messages.lost)} lost</span>`,
    ]),
    card(n(writes.accepted), "writes accepted", [
      `${n(writes.delivered)} delivered, ${n(writes.repeated)} repeated`,
      `${n(writes.spooled)} waited on the disk first`,
      `<span class="${writes.lost > 0 ? "bad" : "good"}">${n(writes.lost)} lost</span>`,
    ]),
    card(n(flags.asked), "flag reads", [
      `${n(flags.changes)} changes, seen after ${flags.spreadP50Ms} ms (p50), ${flags.spreadP99Ms} ms (p99)`,
      `<span class="${flags.unanswered > 0 ? "bad" : "good"}">${n(flags.unanswered)} unanswered</span>`,
    ]),
  ].join("")}</div>`;
}

function toTimeline(report: Report): string {
  return `${drawCharts(report).join("\n")}
<p class="dim legend"><i style="background:var(--bad)"></i>killed<i style="background:var(--amber)"></i>stopped, paused, away<i
style="background:var(--blue)"></i>changed, restarted<i style="background:var(--dim)"></i>other; point at a mark to see what it was</p>`;
}

function toRecoveryTable({ recovery }: Report): string {
  const ms = (value: number) => (value === 0 ? "–" : `${n(value)} ms`);
  const rows = recovery
    .toSorted((a, b) => a.kind.localeCompare(b.kind))
    .map(
      (one) =>
        `<tr><td>${toHtml(one.kind)}</td><td class="n">${n(one.times)}</td><td class="n">${n(one.failed)}</td><td class="n">${ms(one.p50Ms)}</td><td class="n">${ms(one.p99Ms)}</td></tr>`,
    );
  return `<table><tr><th>what</th><th class="n">times</th><th class="n">failed requests it cost</th><th class="n">back after, p50</th><th class="n">p99</th></tr>${rows.join("")}</table>`;
}

function toClaims({ verdict }: Report): string {
  const rows = verdict.claims.map(({ sentence, broken }) => {
    const examples = broken.slice(0, examplesMax).map((line) => `<li><code>${toHtml(line)}</code></li>`);
    const more = broken.length > examplesMax ? `<li>and ${n(broken.length - examplesMax)} more</li>` : "";
    const list = broken.length === 0 ? "" : `<ul>${examples.join("")}${more}</ul>`;
    const mark =
      broken.length === 0 ? '<td class="good">✓ held</td>' : `<td class="bad">✗ ${n(broken.length)}</td>`;
    return `<tr>${mark}<td>${toHtml(sentence)}${list}</td></tr>`;
  });
  return `<table>${rows.join("")}</table>`;
}

function toUsage({ leaks }: Report): string {
  if (leaks.length === 0) return "";
  const rows = leaks.map(
    (one) =>
      `<tr><td>${toHtml(one.what)}</td><td class="n">${n(one.before)}</td><td class="n">${n(one.after)}</td><td class="${one.isFlat ? "good" : "bad"}">${one.isFlat ? "flat" : "grows"}</td></tr>`,
  );
  return `<details><summary>What was used</summary><table><tr><th>what</th><th class="n">most of the first third</th><th class="n">least at the end</th><th></th></tr>${rows.join("")}</table></details>
`;
}

function toSteps({ deeds }: Report): string {
  const rows = deeds.map(
    (deed) =>
      `<tr><td class="n">${deed.index + 1}</td><td class="n">${(deed.atMs / 1_000).toFixed(1)} s</td><td>${toHtml(deed.kind)}</td><td>${toHtml(deed.targets.join(", "))}</td><td class="n">${deed.backMs === undefined ? "" : `${n(Math.round(deed.backMs))} ms`}</td><td class="bad">${toHtml(deed.failure ?? "")}</td></tr>`,
  );
  return `<table><tr><th class="n">step</th><th class="n">at</th><th>what</th><th>whom</th><th class="n">back after</th><th></th></tr>${rows.join("")}</table>`;
}
