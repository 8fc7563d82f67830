/** `nines buffer` and its verbs: targets of buffered writes, what waits for them, and the dead letters. */
import { toDuration } from "../../std/duration.ts";
import { NinesError } from "../../std/errors.ts";
import type { LetterReply, TargetChange, TargetReply } from "../../wire/buffer.ts";
import { type Client, path } from "../client.ts";
import { type Command, defineCommand, jsonFlag, noArgs } from "../command.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../usage.ts";
import { toAge } from "../when.ts";

const jsonFlags = { json: jsonFlag } as const;

export const buffer = defineCommand({
  places: "",
  args: noArgs,
  flags: jsonFlags,
  notes:
    "BREAKER open: the target is down, and is tried again after TRY; its writes wait, and use up nothing.",
  async run({ flags, out, client }) {
    const { targets } = await client.json<{ targets: readonly TargetReply[] }>("/v1/buffer");
    if (flags.json) out.json(targets);
    else if (targets.length === 0) out.note("there is no target yet; nines buffer:set NAME URL makes one");
    else {
      out.table(
        ["TARGET", "BREAKER", "WAITING", "OLDEST", "RATE", "DEAD", "RELAY", "TRY", "URL"],
        targets.map((one) => [
          one.name,
          toState(out, one),
          String(one.depth),
          one.depth === 0 ? "-" : toDuration(one.oldestMs),
          `${one.perSecond}/s`,
          String(one.dead),
          one.relay ?? "-",
          one.probeMs === null ? "-" : toDuration(one.probeMs),
          `${one.url ?? "(removed)"}${one.reason === null ? "" : `  ${one.reason}`}`,
        ]),
      );
    }
    return 0;
  },
});

const number = (summary: string, max: number, min = 1) =>
  ({ kind: "number", value: "N", summary, min, max }) as const;

export const set = defineCommand({
  places: "TARGET [URL]",
  args: { min: 1, max: 2 },
  flags: {
    ...jsonFlags,
    concurrency: number("deliveries at once", 256),
    rate: number("deliveries a second; 0 is no limit", 1_000_000, 0),
    timeout: number("milliseconds of one delivery", 600_000, 10),
    attempts: number("refusals before a write is a dead letter", 1_000),
    depth: number("writes that may wait", 10_000_000),
    share: {
      kind: "text",
      value: "APP,…",
      summary: "other apps that may write to it; empty shares with none",
    },
  },
  notes:
    "The targets of the app shop are called shop.NAME. URL is http(s)://…, app:NAME/path for an app of this\nplatform, bus:APP.TOPIC, or handler: for a function of the app. What is not given stays as it is.",
  async run({ flags, args: [target = "", url], out, client }) {
    const given = {
      url,
      concurrencyMax: flags.concurrency,
      perSecondMax: flags.rate,
      timeoutMs: flags.timeout,
      attemptsMax: flags.attempts,
      depthMax: flags.depth,
      with: flags.share?.split(",").filter((app) => app !== ""),
    };
    const change = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    if (Object.keys(change).length === 0) throw new UsageError("what is to be set? give a URL or a flag");
    await put(client, target, change);
    if (flags.json) out.json({ target, ...change });
    else out.line(`writes to ${target} are delivered${url === undefined ? " so" : ` to ${url}`}`);
    return 0;
  },
});

export const pause: Command = toSwitch(true);
export const resume: Command = toSwitch(false);

function toSwitch(paused: boolean): Command {
  return defineCommand({
    places: "TARGET",
    args: { min: 1, max: 1 },
    flags: jsonFlags,
    async run({ flags, args: [target = ""], out, client }) {
      await one(client, target);
      await put(client, target, { paused });
      if (flags.json) out.json({ target, paused });
      else out.line(paused ? `${target} is paused: its writes wait` : `${target} gets its writes again`);
      return 0;
    },
  });
}

export const retry = defineCommand({
  places: "TARGET",
  args: { min: 1, max: 1 },
  flags: jsonFlags,
  async run({ flags, args: [target = ""], out, client }) {
    await client.json(path`/v1/buffer/${target}/retry`, { method: "POST", repeatable: true });
    if (flags.json) out.json({ target });
    else out.line(`${target} is tried within a second`);
    return 0;
  },
});

export const remove = defineCommand({
  places: "TARGET",
  args: { min: 1, max: 1 },
  flags: jsonFlags,
  async run({ flags, args: [target = ""], out, client }) {
    await client.json(path`/v1/buffer/${target}`, { method: "DELETE", repeatable: false });
    if (flags.json) out.json({ target, removed: true });
    else out.line(`${target} is gone`);
    return 0;
  },
});

export const dead = defineCommand({
  places: "TARGET [ID]",
  args: { min: 1, max: 2 },
  flags: jsonFlags,
  async run({ flags, args: [target = "", id], out, client }) {
    const page = id === undefined ? "" : `?after=${toId(id) - 1}&limit=1`;
    const { letters } = await client.json<{ letters: readonly LetterReply[] }>(
      `${path`/v1/buffer/${target}/dead`}${page}`,
    );
    if (id !== undefined && letters[0]?.id !== toId(id)) {
      throw new NinesError("not_found", `${target} has no dead letter ${id}`);
    }
    if (flags.json) out.json(id === undefined ? letters : letters[0]);
    else if (id !== undefined) {
      for (const [name, value] of Object.entries(letters[0]?.headers ?? {})) out.line(`${name}: ${value}`);
      out.line(`\n${Buffer.from(letters[0]?.body ?? "", "base64").toString("utf8")}`);
    } else if (letters.length === 0) out.note(`${target} has no dead letter`);
    else {
      out.table(
        ["ID", "KEY", "TRIES", "DIED", "REASON", "BODY"],
        letters.map((letter) => [
          String(letter.id),
          letter.key ?? "-",
          String(letter.attempts),
          `${toAge(letter.diedAt)} ago`,
          letter.reason,
          JSON.stringify(Buffer.from(letter.body, "base64").toString("utf8")).slice(1, 61),
        ]),
      );
    }
    return 0;
  },
});

export const edit = defineCommand({
  places: "TARGET ID",
  args: { min: 2, max: 2 },
  flags: {
    ...jsonFlags,
    body: { kind: "text", value: "TEXT", summary: "its body from now on" },
  },
  notes: "nines buffer:replay TARGET ID delivers it then, with its old idempotency key.",
  async run({ flags, args: [target = "", id = ""], out, client }) {
    if (flags.body === undefined) throw new UsageError("what is to be changed? give --body TEXT");
    await client.json(path`/v1/buffer/${target}/dead/${toId(id)}`, {
      method: "PATCH",
      json: { body: Buffer.from(flags.body).toString("base64") },
      repeatable: true,
    });
    if (flags.json) out.json({ target, id: toId(id) });
    else out.line(`dead letter ${id} has another body; nines buffer:replay ${target} ${id} delivers it`);
    return 0;
  },
});

export const replay: Command = toMove(
  "replay",
  (target, count) => `${count} to be delivered to ${target} again`,
);
export const drop: Command = toMove(
  "drop",
  (target, count) => `${count} dead of ${target} are gone for good`,
);

function toMove(verb: "replay" | "drop", say: (target: string, count: number) => string): Command {
  return defineCommand({
    places: "TARGET ID… | --all",
    args: { min: 1, max: 1_000 },
    flags: { ...jsonFlags, all: { kind: "switch", summary: "every dead letter of the target" } },
    async run({ flags, args: [target = "", ...ids], out, client }) {
      if (flags.all === ids.length > 0) throw new UsageError("name the dead letters, or --all of them");
      const json = flags.all ? {} : { ids: ids.map(toId) };
      const { count } = await client.json<{ count: number }>(path`/v1/buffer/${target}/dead/${verb}`, {
        method: "POST",
        json,
      });
      if (flags.json) out.json({ target, count });
      else out.line(say(target, count));
      return 0;
    },
  });
}

async function put(client: Client, target: string, change: TargetChange): Promise<void> {
  await client.json(path`/v1/buffer/${target}`, { method: "PUT", json: change });
}

async function one(client: Client, target: string): Promise<TargetReply> {
  const { targets } = await client.json<{ targets: readonly TargetReply[] }>("/v1/buffer");
  const found = targets.find((known) => known.name === target && known.url !== null);
  if (found === undefined) {
    throw new NinesError("not_found", `there is no target "${target}"`, { hint: "nines buffer lists them" });
  }
  return found;
}

function toId(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new UsageError(`"${text}" is not the number of a dead letter`);
  return Number(text);
}

function toState(out: Output, target: TargetReply): string {
  if (target.paused) return out.paint("yellow", "paused");
  return target.breaker === "closed" ? out.paint("green", "closed") : out.paint("red", target.breaker);
}
