/** `nines alerts` and its verbs: what fires, who has silenced it, and who is told. */
import { readFileSync } from "node:fs";
import { parseDuration, toDuration } from "../../std/duration.ts";
import {
  type AlertReply,
  type AlertsReply,
  type ReceiverKind,
  type ReceiverReply,
  receiverKinds,
  type SilenceReply,
} from "../../wire/asserts.ts";
import { type Client, path } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../usage.ts";
import { toAge, toStaleNote } from "../when.ts";

const jsonFlags = { json: jsonFlag } as const;
const text = (value: string, summary: string) => ({ kind: "text", value, summary }) as const;

export const alerts = defineCommand({
  places: "",
  args: noArgs,
  flags: jsonFlags,
  notes: "Resolved ones are shown for a quarter of an hour. Exits 0 whatever fires; --json is for programs.",
  async run({ flags, out, client }) {
    const { alerts: all, staleMs } = await client.json<AlertsReply>("/v1/alerts");
    if (flags.json) out.json(all);
    else {
      if (staleMs > 0)
        out.note(toStaleNote(staleMs, "the database is away, and nobody is told of anything new"));
      if (all.length === 0) out.note("nothing fires");
      else {
        out.table(
          ["ALERT", "STATE", "SINCE", "VALUE", "THRESHOLD", "ABOUT"],
          all.map((one) => [
            one.name,
            toState(out, one),
            toAge(one.since),
            one.value === null ? "-" : String(Number(one.value.toPrecision(4))),
            one.threshold === null ? "-" : String(Number(one.threshold.toPrecision(4))),
            toAbout(one),
          ]),
        );
      }
    }
    return 0;
  },
});

export const silence = defineCommand({
  places: "NAME | MATCHERS",
  args: { min: 1, max: 1 },
  flags: { ...jsonFlags, for: text("TIME", "how long (default 2h)"), why: text("TEXT", "why; kept with it") },
  notes:
    "Alerts go on as they are; nobody is told. So: nines alerts silence '{app=\"shop\"}' --for 30m --why moving",
  async run({ flags, args: [matchers = ""], out, client }) {
    const json = { matchers, forMs: parseTime("--for", flags.for ?? "2h"), why: flags.why ?? "" };
    const made = await client.json<SilenceReply & { silenced: readonly string[] }>("/v1/silences", {
      method: "POST",
      json,
    });
    if (flags.json) out.json(made);
    else {
      const now = made.silenced.length === 0 ? "" : `, now of ${made.silenced.join(", ")}`;
      out.line(
        `${made.id.slice(0, 8)}: nobody is told of ${made.matchers} for ${toDuration(json.forMs)}${now}`,
      );
    }
    return 0;
  },
});

export const unsilence = defineCommand({
  places: "ID",
  args: { min: 1, max: 1 },
  flags: jsonFlags,
  async run({ flags, args: [id = ""], out, client }) {
    await client.json(path`/v1/silences/${id}`, { method: "DELETE", repeatable: false });
    if (flags.json) out.json({ id });
    else out.line(`silence ${id} is over`);
    return 0;
  },
});

export const silences = defineCommand({
  places: "",
  args: noArgs,
  flags: jsonFlags,
  async run({ flags, out, client }) {
    const { silences: all } = await client.json<{ silences: readonly SilenceReply[] }>("/v1/silences");
    if (flags.json) out.json(all);
    else if (all.length === 0) out.note("nothing is silenced");
    else {
      out.table(
        ["ID", "OF", "BY", "ENDS", "WHY"],
        all.map((one) => [
          one.id.slice(0, 8),
          one.matchers,
          one.by,
          one.active ? `in ${toDuration(Date.parse(one.expiresAt) - Date.now())}` : "over",
          one.why,
        ]),
      );
    }
    return 0;
  },
});

export const receivers = defineCommand({
  places: "[list] | add NAME URL… | remove NAME",
  args: { min: 0, max: 7 },
  flags: {
    ...jsonFlags,
    kind: text("KIND", "webhook (default), alertmanager, slack, smtp, heartbeat"),
    match: text("MATCHERS", 'only alerts that match: {severity="critical"}'),
    "group-by": text("LABELS", "told of together: app,alertname"),
    "group-wait": text("TIME", "the first alert of a group waits so long for others (200ms)"),
    "group-interval": text("TIME", "between notices of a group that changed (10s)"),
    repeat: text("TIME", "between notices of one that did not (4h); of heartbeats (30s)"),
    "no-resolved": { kind: "switch", summary: "told when it fires, not when it is over" },
  },
  notes:
    "URL - is read from stdin, so that a secret stands in no command line. Several URLs are the instances of one\n" +
    "Alertmanager. Mail: smtp://user:password@host:587?from=nines@example.com&to=me@example.com",
  async run({ flags, args: [verb = "list", name = "", ...urls], out, client }) {
    switch (verb) {
      case "list":
        return await list(flags.json, out, client);
      case "add": {
        if (name === "" || urls.length === 0) throw new UsageError("nines alerts receivers add NAME URL");
        const json = {
          kind: toKind(flags.kind),
          urls: urls.map((url) => (url === "-" ? readFileSync(0, "utf8").trim() : url)),
          ...(flags.match === undefined ? {} : { matchers: flags.match }),
          ...(flags["group-by"] === undefined
            ? {}
            : { groupBy: flags["group-by"].split(",").map((one) => one.trim()) }),
          ...time("groupWaitMs", "--group-wait", flags["group-wait"]),
          ...time("groupIntervalMs", "--group-interval", flags["group-interval"]),
          ...time("repeatIntervalMs", "--repeat", flags.repeat),
          ...(flags["no-resolved"] ? { sendResolved: false } : {}),
        };
        await client.json(path`/v1/receivers/${name}`, { method: "PUT", json });
        if (flags.json) out.json({ name });
        else out.line(`${name} is told of ${flags.match ?? "all alerts"}`);
        return 0;
      }
      case "remove":
        if (name === "" || urls.length > 0) throw new UsageError("nines alerts receivers remove NAME");
        await client.json(path`/v1/receivers/${name}`, { method: "DELETE", repeatable: false });
        if (flags.json) out.json({ name, removed: true });
        else out.line(`${name} is told no more`);
        return 0;
      default:
        throw new UsageError(`nines alerts receivers has no verb ${verb}`, "list, add or remove");
    }
  },
});

async function list(json: boolean, out: Output, client: Client): Promise<number> {
  const { receivers: all } = await client.json<{ receivers: readonly ReceiverReply[] }>("/v1/receivers");
  if (json) out.json(all);
  else if (all.length === 0)
    out.note("nobody is told of alerts; nines alerts receivers add NAME URL changes that");
  else {
    out.table(
      ["RECEIVER", "KIND", "OF", "WAITING", "DEAD", "URL"],
      all.map((one) => [
        one.name,
        one.kind,
        one.kind === "heartbeat" ? "-" : one.matchers || "all",
        String(one.waiting),
        String(one.dead),
        `${one.urls.join(" ")}${one.trouble === null ? "" : `  ${one.trouble}`}`,
      ]),
    );
  }
  return 0;
}

function toKind(given: string | undefined): ReceiverKind {
  const kind = (given ?? "webhook") as ReceiverKind;
  if (receiverKinds.includes(kind)) return kind;
  throw new UsageError(`--kind is one of ${receiverKinds.join(", ")}, not "${given}"`);
}

function time(key: string, flag: string, value: string | undefined): Readonly<Record<string, number>> {
  return value === undefined ? {} : { [key]: parseTime(flag, value) };
}

function parseTime(flag: string, value: string): number {
  try {
    return parseDuration(value);
  } catch {
    throw new UsageError(`${flag} takes a time as 500ms, 30s, 2m or 1h, not "${value}"`);
  }
}

function toState(out: Output, alert: AlertReply): string {
  const held = alert.silencedBy !== null ? " (silenced)" : alert.inhibitedBy !== null ? " (inhibited)" : "";
  const colour = { pending: "yellow", firing: "red", resolved: "green" } as const;
  return `${out.paint(colour[alert.state], alert.state)}${held}`;
}

function toAbout({ labels, annotations }: AlertReply): string {
  const named = Object.entries(labels).filter(([label]) => label !== "alertname");
  const told = annotations.description ?? annotations.summary ?? "";
  return `${named.map(([label, value]) => `${label}=${value}`).join(" ")}  ${told}`;
}
