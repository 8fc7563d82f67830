/** `nines valves` and its verbs: limits that are changed while running. */
import { parseDuration, toDuration } from "../../std/duration.ts";
import { openSettings, type ValveSettings } from "../../wire/valve.ts";
import type { ValveChangeReply, ValveReply } from "../../wire/valve-api.ts";
import { path } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { exitCodes } from "../exit.ts";
import type { Output } from "../output.ts";
import { suggest, UsageError } from "../usage.ts";

const waitMs = 5_000;
const waitFlag = {
  kind: "switch",
  summary: "until every process says so",
} as const;

export const valves = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  notes: "A * marks a valve that somebody has turned; REFUSED counts since the processes started.",
  async run({ flags, out, client }) {
    const reply = await client.json<{ valves: readonly ValveReply[] }>("/v1/valves");
    if (flags.json) {
      out.json(reply.valves);
      return exitCodes.done;
    }
    out.table(
      ["VALVE", "LIMITS", "INSIDE", "WAITING", "PASSED", "REFUSED", "IN", "WHAT"],
      reply.valves.map((valve) => [
        valve.turned === null ? valve.name : out.paint("yellow", `${valve.name} *`),
        toText(valve.turned === null ? valve.settings : { ...valve.settings, ...valve.turned.settings }),
        String(valve.inflight),
        String(valve.queued),
        String(valve.permitted),
        String(valve.rejected + valve.shadowed),
        `${valve.processes}`,
        valve.turned === null ? valve.summary : toWhy(valve),
      ]),
    );
    return exitCodes.done;
  },
});

export const set = defineCommand({
  places: "NAME SETTING=VALUE…",
  args: { min: 2, max: 30 },
  flags: {
    why: { kind: "text", value: "TEXT", summary: "the reason, for those who find it turned" },
    for: { kind: "text", value: "30m", summary: "at its default again after so long" },
    wait: waitFlag,
    json: jsonFlag,
  },
  notes: `SETTING is one of
  mode=enforce|shadow|open|closed  rate=N  per=1s  burst=N  concurrency=N|MIN..MAX  queue=N  wait=250ms
  order=fifo|lifo  reserve=0.2  keyRate=N  keyBurst=N  keyConcurrency=N  multiplier.KEY=0.5
  scope=process|fleet
none is no limit (rate=none), default takes a setting back. What is not named stays.
router.requests@APP is the valve of one app's requests; mode=closed turns it away.`,
  async run({ flags, args: [name = "", ...words], out, client }) {
    if (flags.why === undefined || flags.why.trim() === "") {
      throw new UsageError("why? add --why TEXT: whoever finds the valve turned will want to know");
    }
    const { settings, unset } = parseSettings(words);
    const reply = await client.json<ValveChangeReply>(path`/v1/valves/${name}`, {
      method: "PUT",
      json: {
        ...{ settings, unset, why: flags.why },
        ...(flags.for === undefined ? {} : { forMs: Math.round(parseDuration(flags.for, "--for")) }),
        ...(flags.wait ? { waitMs } : {}),
      },
    });
    return report(out, reply, flags);
  },
});

export const reset = defineCommand({
  places: "NAME",
  args: { min: 1, max: 1 },
  flags: { wait: waitFlag, json: jsonFlag },
  async run({ flags, args: [name = ""], out, client }) {
    const query = flags.wait ? `?waitMs=${waitMs}` : "";
    const reply = await client.json<ValveChangeReply>(`${path`/v1/valves/${name}`}${query}`, {
      method: "DELETE",
    });
    return report(out, reply, flags);
  },
});

function report(
  out: Output,
  reply: ValveChangeReply,
  flags: { readonly json: boolean; readonly wait: boolean },
): number {
  const { applied, waiting, turned, name } = reply;
  if (flags.json) out.json(reply);
  else {
    out.line(turned === null ? `${name} is at its default` : `${name}: ${toText(turned.settings)}`);
    if (reply.warning !== null) out.note(`warning: ${reply.warning}`);
    else if (flags.wait) {
      const last = Math.max(0, ...applied.map(({ afterMs }) => afterMs));
      out.line(
        `in force in ${applied.length} of ${applied.length + waiting.length} processes, after ${last} ms`,
      );
    }
    if (flags.wait && waiting.length > 0) out.note(`not heard from: ${waiting.join(", ")}`);
  }
  return flags.wait && waiting.length > 0 ? exitCodes.failed : exitCodes.done;
}

const numbers = ["rate", "burst", "concurrency", "queue", "reserve", "keyRate", "keyBurst", "keyConcurrency"];
const durations: Readonly<Record<string, keyof ValveSettings>> = { per: "perMs", wait: "waitMs" };
const words = ["mode", "order", "scope"];

/** Pure. The API checks the values; here is only how they are written. */
export function parseSettings(given: readonly string[]): {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly unset: readonly string[];
} {
  const settings: Record<string, unknown> = {};
  const unset: string[] = [];
  const multipliers: Record<string, number> = {};
  for (const word of given) {
    const [, key = "", value = ""] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    if (key === "" || value === "") throw new UsageError(`"${word}" is not SETTING=VALUE`, "as in rate=5");
    const name = durations[key] ?? key;
    if (key.startsWith("multiplier.")) multipliers[key.slice("multiplier.".length)] = toNumber(word, value);
    else if (!Object.hasOwn(openSettings, name) && !Object.hasOwn(durations, key)) {
      const near = suggest(key, [...numbers, ...Object.keys(durations), ...words]);
      throw new UsageError(
        `a valve has no "${key}"`,
        near === undefined ? "nines valves:set --help lists them" : `did you mean ${near}?`,
      );
    } else if (value === "default") unset.push(name);
    else if (value === "none") settings[name] = null;
    else if (Object.hasOwn(durations, key)) settings[name] = Math.round(parseDuration(value, key));
    else if (words.includes(key)) settings[name] = value;
    else settings[name] = toRange(value) ?? toNumber(word, value);
  }
  if (Object.keys(multipliers).length > 0) settings.multipliers = multipliers;
  return { settings, unset };
}

function toRange(value: string): { readonly min: number; readonly max: number } | undefined {
  const [, min, max] = /^(\d+)\.\.(\d+)$/.exec(value) ?? [];
  return min === undefined ? undefined : { min: Number(min), max: Number(max) };
}

function toNumber(word: string, value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number)) throw new UsageError(`"${word}": ${value} is not a number`);
  return number;
}

/** What differs from no limit at all. */
function toText(settings: Partial<ValveSettings>): string {
  const parts = Object.entries(settings).flatMap(([key, value]): string[] => {
    if (JSON.stringify(value) === JSON.stringify(openSettings[key as keyof ValveSettings])) return [];
    if (key === "perMs" || key === "waitMs")
      return [`${key === "perMs" ? "per" : "wait"}=${toDuration(value as number).replaceAll(" ", "")}`];
    if (key === "multipliers") {
      return Object.entries(value as object).map(([name, factor]) => `multiplier.${name}=${factor}`);
    }
    if (value === null) return [`${key}=none`];
    return [typeof value === "object" ? `${key}=${value.min}..${value.max}` : `${key}=${value}`];
  });
  return parts.length === 0 ? "none" : parts.join(" ");
}

function toWhy({ turned }: ValveReply): string {
  if (turned === null) return "";
  const until = turned.until === undefined ? "" : `, until ${turned.until.slice(0, 16).replace("T", " ")}`;
  return `${turned.why} (${turned.by}${until})`;
}
