/** `nines flags` and its verbs: what code does, changed without a deploy. */
import { readFileSync } from "node:fs";
import { parseDuration } from "../../std/duration.ts";
import { NinesError, systemCode } from "../../std/errors.ts";
import { assertName } from "../../wire/asserts.ts";
import type { Explanation, FlagChange, FlagReply, FlagsReply, GatedWish } from "../../wire/flags.ts";
import { type Client, path } from "../client.ts";
import { type Command, defineCommand, jsonFlag, noArgs } from "../command.ts";
import { followGrowth } from "../growth.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../usage.ts";
import { toAge } from "../when.ts";

const why = { kind: "text", value: "TEXT", summary: "why; kept with the change" } as const;
const variant = {
  kind: "text",
  value: "NAME",
  summary: "which one, for a flag that is not boolean",
} as const;
const lax = {
  kind: "switch",
  summary: "let targeting pass that flagd would evaluate, to nothing",
} as const;
const changeFlags = { json: jsonFlag, why } as const;

export const flags = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag, stale: { kind: "switch", summary: "only those that should go" } },
  notes:
    "STEP is how far it has grown; custom is targeting of its own. ASKED is when code last asked for it, and which.\n" +
    "A flag that is to stay, such as a kill switch, has permanent: true in its metadata.",
  async run({ flags, out, client }) {
    const reply = await client.json<FlagsReply>("/v1/flags");
    const shown = reply.flags.filter((flag) => !flags.stale || flag.stale !== undefined);
    if (flags.json) out.json(shown);
    else if (shown.length === 0) {
      out.note(flags.stale ? "no flag is stale" : "there is no flag yet; nines flags set KEY JSON makes one");
    } else {
      out.table(
        ["FLAG", "TYPE", "STEP", "CHANGED", "BY", "ASKED", "STALE"],
        shown.map((flag) => [
          flag.key,
          flag.type,
          toStep(out, flag),
          `${toAge(flag.at)} ago`,
          flag.by,
          toAsked(flag),
          flag.stale ?? "",
        ]),
      );
    }
    return 0;
  },
});

export const get = defineCommand({
  places: "KEY",
  args: { min: 1, max: 1 },
  flags: { json: jsonFlag },
  async run({ flags, args: [key = ""], out, client }) {
    const flag = await client.json<FlagReply>(path`/v1/flags/${key}`);
    if (flags.json) out.json(flag);
    else out.line(JSON.stringify(flag.definition, null, 2));
    return 0;
  },
});

export const set = defineCommand({
  places: "KEY JSON-or-FILE",
  args: { min: 2, max: 2 },
  flags: { ...changeFlags, lax },
  notes:
    'A flag in flagd\'s format: {"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}.\n' +
    "What is malformed changes nothing. - reads it from standard input.",
  async run({ flags, args: [key = "", given = ""], out, client }) {
    const json = { definition: readGiven(given), why: flags.why ?? "", lax: flags.lax };
    const flag = await client.json<FlagReply>(path`/v1/flags/${key}`, { method: "PUT", json });
    say(out, flags.json, flag, `${key} is set`);
    return 0;
  },
});

export const load = defineCommand({
  places: "FILE",
  args: { min: 1, max: 1 },
  flags: { ...changeFlags, lax },
  notes: "All flags and $evaluators of a flagd file, or, when one is malformed, none. Other flags stay.",
  async run({ flags, args: [file = ""], out, client }) {
    const json = { document: readGiven(file), why: flags.why ?? "", lax: flags.lax };
    const reply = await client.json<{ count: number; warnings: string[] }>("/v1/flags", {
      method: "POST",
      json,
    });
    for (const warning of reply.warnings) out.note(`warning: ${warning}`);
    if (flags.json) out.json(reply);
    else out.line(`${reply.count} flags and evaluators of ${file} are set`);
    return 0;
  },
});

export const on: Command = toSwitch("on");
export const off: Command = toSwitch("off");

function toSwitch(verb: "on" | "off"): Command {
  return defineCommand({
    places: "KEY",
    args: { min: 1, max: 1 },
    flags: { ...changeFlags, variant },
    async run({ flags, args: [key = ""], out, client }) {
      const flag = await post(client, key, verb, { why: flags.why ?? "", ...toVariant(flags.variant) });
      say(out, flags.json, flag, `${key} is ${verb} for everybody`);
      return 0;
    },
  });
}

export const grow = defineCommand({
  places: "KEY internal|beta|10%|all",
  args: { min: 2, max: 2 },
  flags: {
    ...changeFlags,
    variant,
    shrink: { kind: "switch", summary: "go on though people would be taken out" },
    replace: { kind: "switch", summary: "replace targeting that was written by hand" },
    revive: { kind: "switch", summary: "let a flag grow that was killed" },
    gated: { kind: "switch", summary: "step by step while asserts hold, and back when one does not" },
    assert: {
      kind: "text",
      value: "NAMES-or-CLAIM",
      summary: "with --gated: what has to hold (the stages' asserts)",
    },
    bake: {
      kind: "text",
      value: "TIME",
      summary: "with --gated: how long at each step (the stage's bake time)",
    },
    "min-requests": {
      kind: "text",
      value: "COUNT",
      summary: "with --gated: times it must be asked for at each step (the stage's)",
    },
    deadline: {
      kind: "text",
      value: "TIME",
      summary: "with --gated: without a verdict by then it has failed",
    },
    pause: { kind: "switch", summary: "with --gated: a violation holds it where it is" },
    wait: { kind: "switch", summary: "with --gated: follow it until it has grown, or was turned back" },
  },
  notes:
    "internal: the users of the platform's stage internal. beta and percentages: a share of all users, by their\n" +
    "targeting key, and internal. Whoever is in stays in while it grows.\n" +
    "--gated goes through the platform's stages on the way, by itself; any other change of the flag ends that.",
  async run({ flags, args: [key = "", to = ""], out, client }) {
    const { shrink, replace, revive } = flags;
    const gated = toGated(flags);
    const json = { to, why: flags.why ?? "", shrink, replace, revive, ...toVariant(flags.variant), ...gated };
    const flag = await post(client, key, "grow", json);
    const way = flag.gated?.steps.slice(1).map(({ step }) => step) ?? [];
    const then = way.length === 0 ? "" : `, then ${way.join(", ")} while what is asserted holds`;
    if (!flags.wait || gated === undefined) say(out, flags.json, flag, `${key} is at ${flag.step}${then}`);
    else return await followGrowth(client, out, flag, flags.json);
    return 0;
  },
});

function toGated(flags: {
  readonly gated: boolean;
  readonly assert?: string | undefined;
  readonly bake?: string | undefined;
  readonly "min-requests"?: string | undefined;
  readonly deadline?: string | undefined;
  readonly pause: boolean;
  readonly wait: boolean;
}): { gated: GatedWish } | undefined {
  const { assert, bake, deadline, "min-requests": least, pause, wait } = flags;
  if (!flags.gated) {
    const given = [assert, bake, deadline, least].some((one) => one !== undefined);
    if (!given && !pause && !wait) return undefined;
    throw new UsageError("--assert, --bake, --min-requests, --deadline, --pause and --wait go with --gated");
  }
  if (least !== undefined && !/^\d{1,9}$/.test(least)) {
    throw new UsageError(`--min-requests ${least}: expected a whole number`);
  }
  const names = assert?.split(",").map((name) => name.trim());
  return {
    gated: {
      ...(names === undefined || assert === undefined
        ? {}
        : { asserts: names.every((name) => assertName.test(name)) ? names : [assert] }),
      ...(bake === undefined ? {} : { bakeMs: parseDuration(bake, "--bake") }),
      ...(least === undefined ? {} : { requestsMin: Number(least) }),
      ...(deadline === undefined ? {} : { deadlineMs: parseDuration(deadline, "--deadline") }),
      ...(pause ? { onFailure: "pause" as const } : {}),
    },
  };
}

export const kill = defineCommand({
  places: "KEY",
  args: { min: 1, max: 1 },
  flags: changeFlags,
  notes: "Off for everybody, in one write, whatever it was and whatever else goes on.",
  async run({ flags, args: [key = ""], out, client }) {
    const flag = await post(client, key, "kill", { why: flags.why ?? "" });
    say(out, flags.json, flag, `${key} is killed: off for everybody`);
    return 0;
  },
});

export const history = defineCommand({
  places: "KEY",
  args: { min: 1, max: 1 },
  flags: { json: jsonFlag },
  async run({ flags, args: [key = ""], out, client }) {
    const { changes } = await client.json<{ changes: readonly FlagChange[] }>(path`/v1/flags/${key}/history`);
    if (flags.json) out.json(changes);
    else {
      out.table(
        ["WHEN", "WHO", "WHAT", "WHY"],
        changes.map((change) => [`${toAge(change.at)} ago`, change.by, change.what, change.why]),
      );
    }
    return 0;
  },
});

export const explain = defineCommand({
  places: "KEY",
  args: { min: 1, max: 1 },
  flags: {
    json: jsonFlag,
    user: { kind: "text", short: "u", value: "USER", summary: "the targeting key" },
    context: { kind: "text", value: "JSON", summary: "what else is known of the user" },
  },
  async run({ flags, args: [key = ""], out, client }) {
    const given = flags.context === undefined ? {} : readGiven(flags.context);
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw new UsageError("--context takes a JSON object");
    }
    const context = { ...given, ...(flags.user === undefined ? {} : { targetingKey: flags.user }) };
    const reply = await client.json<Explanation>(path`/v1/flags/${key}/explain`, {
      method: "POST",
      json: { context },
      repeatable: true,
    });
    if (flags.json) out.json(reply);
    else {
      const value = reply.value === undefined ? "the default of the code" : JSON.stringify(reply.value);
      out.line(`${value}${reply.variant === undefined ? "" : ` (${reply.variant})`}  ${reply.reason}`);
      out.line(`because ${reply.because}`);
    }
    return 0;
  },
});

export const remove = defineCommand({
  places: "KEY",
  args: { min: 1, max: 1 },
  flags: { ...changeFlags, force: { kind: "switch", summary: "though code still asks for it" } },
  async run({ flags, args: [key = ""], out, client }) {
    const query = new URLSearchParams({ force: flags.force ? "1" : "0", why: flags.why ?? "" });
    await client.json(`${path`/v1/flags/${key}`}?${query}`, { method: "DELETE", repeatable: false });
    if (flags.json) out.json({ key, removed: true });
    else out.line(`${key} is gone`);
    return 0;
  },
});

function post(client: Client, key: string, verb: string, json: object): Promise<FlagReply> {
  return client.json<FlagReply>(`${path`/v1/flags/${key}`}/${verb}`, { method: "POST", json });
}

function toVariant(name: string | undefined): { variant?: string } {
  return name === undefined ? {} : { variant: name };
}

function say(out: Output, json: boolean, flag: FlagReply, text: string): void {
  for (const warning of flag.warnings) out.note(`warning: ${warning}`);
  if (json) out.json(flag);
  else out.line(text);
}

/** JSON as it stands there, or in a file. */
function readGiven(given: string): unknown {
  const inline = /^\s*[{["]/.test(given);
  const text = inline ? given : readFile(given);
  try {
    return JSON.parse(text);
  } catch (error) {
    const where = inline ? "the argument" : given === "-" ? "standard input" : given;
    throw new NinesError("invalid", `${where} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function readFile(name: string): string {
  try {
    return readFileSync(name === "-" ? 0 : name, "utf8");
  } catch (error) {
    const missing = systemCode(error) === "ENOENT";
    throw new NinesError(
      "invalid",
      `${name}: ${missing ? "there is no such file" : (error as Error).message}`,
      {
        cause: error,
        hint: "give the JSON itself, or a file that holds it",
      },
    );
  }
}

function toStep(out: Output, flag: FlagReply): string {
  if (flag.step === "killed") return out.paint("red", flag.step);
  if (flag.gated?.state === "baking") return `${flag.step} → ${flag.gated.steps.at(-1)?.step}`;
  if (flag.gated !== undefined)
    return out.paint("yellow", `${flag.step} (${flag.gated.state.replace("_", " ")})`);
  return flag.step === "all" ? out.paint("green", flag.step) : flag.step;
}

function toAsked({ uses }: FlagReply): string {
  const [last, ...others] = uses;
  if (last === undefined) return "-";
  return `${toAge(last.lastAt)} ago, ${last.app}${others.length === 0 ? "" : ` and ${others.length} more`}`;
}
