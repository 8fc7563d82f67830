/** `nines asserts` and its verbs: claims that should always hold, and what they come to. */
import { parseDuration, toDuration } from "../../std/duration.ts";
import { NinesError } from "../../std/errors.ts";
import {
  type AssertChange,
  type AssertReply,
  type AssertSetReply,
  type AssertsReply,
  type AssertTestReply,
  assertName,
  noDataPolicies,
  type PastSource,
  severities,
} from "../../wire/asserts.ts";
import { path } from "../client.ts";
import { type Command, defineCommand, jsonFlag, noArgs } from "../command.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../usage.ts";
import { toAge } from "../when.ts";

const jsonFlags = { json: jsonFlag } as const;
const text = (value: string, summary: string) => ({ kind: "text", value, summary }) as const;

export const asserts = defineCommand({
  places: "",
  args: noArgs,
  flags: { ...jsonFlags, all: { kind: "switch", summary: "those that hold and come with Nines, too" } },
  notes:
    "A wall: what is violated stands first. unknown is neither: nothing fresh, or too little, is known.\n" +
    "docs/asserts.md has the language.",
  async run({ flags, out, client }) {
    const reply = await client.json<AssertsReply>("/v1/asserts");
    if (flags.json) out.json(reply.asserts);
    else {
      const rank = (one: AssertReply) => ["violated", "unknown", "ok", "off"].indexOf(one.verdict);
      const sorted = reply.asserts.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
      const shown = sorted.filter((one) => flags.all || one.origin !== "shipped" || one.verdict !== "ok");
      out.table(
        ["ASSERT", "VERDICT", "ALERT", "VALUE", "THRESHOLD", "SINCE", "CLAIM"],
        shown.map((one) => [
          one.name,
          toVerdict(out, one),
          one.state === "inactive" ? "-" : one.state,
          toNumber(one.value),
          toNumber(one.threshold),
          toAge(one.since),
          `${one.record?.expr ?? ""}${one.why === "" ? "" : `  (${one.why})`}`,
        ]),
      );
      const hidden = sorted.length - shown.length;
      if (hidden > 0) out.note(`and ${hidden} that come with Nines and hold; --all shows them`);
      if (reply.evaluatedMs === null || reply.evaluatedMs > 5_000) {
        out.note(`${reply.controller} has not evaluated for ${toDuration(reply.evaluatedMs ?? 0)}`);
      }
    }
    return 0;
  },
});

export const add = defineCommand({
  places: "EXPR",
  args: { min: 1, max: 1 },
  flags: {
    ...jsonFlags,
    name: text("NAME", "what it is called, here and in alerts"),
    for: text("TIME", "violated for so long before it fires: 30s, 5m"),
    "keep-firing-for": text("TIME", "fires on for so long after it holds again"),
    "no-data": text("POLICY", "what no data means: violated (default), unknown or ok"),
    "min-samples": {
      kind: "number",
      value: "N",
      summary: "fewer observations are no verdict",
      min: 0,
      max: 1e9,
    },
    severity: text("WORD", "critical, warning (default) or info"),
    description: text("TEXT", "what is wrong when it is violated"),
    runbook: text("URL", "where it says what to do"),
    inhibits: text("MATCHERS", 'alerts that it explains and holds back: {app="shop"}'),
  },
  notes:
    "For example: nines asserts add 'p99(http.latency_ms{app=\"shop\"}, 1m) < 50' --name shop-slow --for 30s\n" +
    "With the NAME of one that is there, it is changed; what is not given stays. docs/asserts.md has the language.",
  async run({ flags, args: [expr = ""], out, client }) {
    const { name } = flags;
    if (name === undefined) throw new UsageError("what is it called? add --name NAME");
    const change: AssertChange = {
      expr,
      ...time("forMs", "--for", flags.for),
      ...time("keepFiringForMs", "--keep-firing-for", flags["keep-firing-for"]),
      ...word("noData", "--no-data", flags["no-data"], noDataPolicies),
      ...word("severity", "--severity", flags.severity, severities),
      ...(flags["min-samples"] === undefined ? {} : { minSamples: flags["min-samples"] }),
      ...(flags.description === undefined ? {} : { description: flags.description }),
      ...(flags.runbook === undefined ? {} : { runbook: flags.runbook }),
      ...(flags.inhibits === undefined ? {} : { inhibits: [flags.inhibits] }),
    };
    const made = await client.json<AssertSetReply>(path`/v1/asserts/${name}`, {
      method: "PUT",
      json: change,
    });
    if (flags.json) out.json(made);
    else {
      out.line(
        `${name} is watched${made.record.forMs > 0 ? `, and fires after ${toDuration(made.record.forMs)}` : ""}`,
      );
      if (made.warning !== null) out.note(`${out.paint("yellow", "warning:")} ${made.warning}`);
    }
    return 0;
  },
});

export const remove = defineCommand({
  places: "NAME",
  args: { min: 1, max: 1 },
  flags: jsonFlags,
  async run({ flags, args: [name = ""], out, client }) {
    const reply = await client.json<{ restored: boolean }>(path`/v1/asserts/${name}`, {
      method: "DELETE",
      repeatable: false,
    });
    if (flags.json) out.json({ name, ...reply });
    else out.line(reply.restored ? `${name} is again as it comes with Nines` : `${name} is gone`);
    return 0;
  },
});

export const on: Command = toSwitch(true);
export const off: Command = toSwitch(false);

function toSwitch(state: boolean): Command {
  return defineCommand({
    places: "NAME",
    args: { min: 1, max: 1 },
    flags: jsonFlags,
    async run({ flags, args: [name = ""], out, client }) {
      const { asserts: all } = await client.json<AssertsReply>("/v1/asserts");
      if (!all.some((one) => one.name === name)) {
        throw new NinesError("not_found", `there is no assert "${name}"`, {
          hint: "nines asserts --all lists them",
        });
      }
      await client.json(path`/v1/asserts/${name}`, { method: "PUT", json: { on: state } });
      if (flags.json) out.json({ name, on: state });
      else
        out.line(
          state
            ? `${name} is watched`
            : `${name} is not watched any more; nines asserts on ${name} changes that`,
        );
      return 0;
    },
  });
}

const sourceTexts: Readonly<Record<PastSource, string>> = {
  seconds: "memory, by the second",
  tens: "memory, by ten seconds",
  minutes: "the database, by the minute",
  nothing: "nothing is known",
};

export const test = defineCommand({
  places: "NAME | EXPR",
  args: { min: 1, max: 1 },
  flags: {
    ...jsonFlags,
    since: text("TIME", "how far to look back (default 6h)"),
    for: text("TIME", "violated for so long before it fires"),
    "no-data": text("POLICY", "violated, unknown or ok"),
  },
  notes:
    "Would it have fired? Over what memory has of the past (seconds for 15 minutes, then 10 s for 6 hours),\nand before that the minutes in the database.",
  async run({ flags, args: [given = ""], out, client }) {
    const change = {
      ...(assertName.test(given) ? { name: given } : { expr: given }),
      ...time("forMs", "--for", flags.for),
      ...word("noData", "--no-data", flags["no-data"], noDataPolicies),
      sinceMs: parseTime("--since", flags.since ?? "6h"),
    };
    const found = await client.json<AssertTestReply>("/v1/assert-tests", {
      method: "POST",
      json: change,
      repeatable: true,
    });
    if (flags.json) out.json(found);
    else {
      const { ok, violated, unknown } = found.verdicts;
      const share = (count: number) => `${Math.round((count / Math.max(1, found.steps)) * 100)} %`;
      out.line(
        `${found.expr}\nok ${share(ok)}, violated ${share(violated)}, unknown ${share(unknown)} of ${found.steps} looks`,
      );
      for (const one of found.firings) {
        const worst = one.worst === null ? "" : `, at worst ${toNumber(one.worst)}`;
        out.line(`fired ${one.from}${one.to === null ? ", and fires on" : ` to ${one.to}`}${worst}`);
      }
      if (found.firings.length === 0) out.line("it would not have fired");
      for (const one of found.spans) out.line(`${one.from} to ${one.to}: ${sourceTexts[one.source]}`);
      if (found.missing !== "") out.line(`without the database's minutes: ${found.missing}`);
    }
    return 0;
  },
});

export const rules = defineCommand({
  places: "",
  args: noArgs,
  flags: {},
  notes: "Alerting rules over the series that /metrics shows; promtool check rules reads them.",
  async run({ out, client }) {
    const response = await client.send("/v1/assert-rules");
    out.stdout.write(await response.text());
    return 0;
  },
});

function time<K extends string>(
  key: K,
  flag: string,
  value: string | undefined,
): { readonly [P in K]?: number } {
  return value === undefined ? {} : ({ [key]: parseTime(flag, value) } as { [P in K]: number });
}

function parseTime(flag: string, value: string): number {
  try {
    return parseDuration(value);
  } catch {
    throw new UsageError(`${flag} takes a time as 500ms, 30s, 2m or 1h, not "${value}"`);
  }
}

function word<K extends string, T extends string>(
  key: K,
  flag: string,
  value: string | undefined,
  words: readonly T[],
): { readonly [P in K]?: T } {
  if (value === undefined) return {};
  if (!words.includes(value as T))
    throw new UsageError(`${flag} is one of ${words.join(", ")}, not "${value}"`);
  return { [key]: value } as { [P in K]: T };
}

function toVerdict(out: Output, { verdict }: AssertReply): string {
  const colour = { ok: "green", violated: "red", unknown: "yellow", off: "dim" } as const;
  return out.paint(colour[verdict], verdict);
}

function toNumber(value: number | null): string {
  if (value === null) return "-";
  return String(Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(4)));
}
