/** `nines config`, `config:get`, `config:set`, `config:unset`. A change is one release, whatever its size. */
import { NinesError } from "../../std/errors.ts";
import type { ConfigReply } from "../../wire/api.ts";
import { path } from "../client.ts";
import { appFlags, type Call, defineCommand, noArgs } from "../command.ts";
import { askChange, isWaiting, waitFlags, watchRollout } from "../rollout.ts";
import { UsageError } from "../usage.ts";
import { toStaleNote } from "../when.ts";

const keyPattern = /^[A-Za-z_][A-Za-z0-9_]*$/;

export const config = defineCommand({
  places: "",
  args: noArgs,
  flags: appFlags,
  async run(call) {
    const reply = await read(call);
    const entries = Object.entries(reply.config).toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (call.flags.json) call.out.json(reply.config);
    else if (entries.length === 0) call.out.note(`${call.app()} has no config`);
    else for (const [key, value] of entries) call.out.line(`${key}=${value}`);
    return 0;
  },
});

export const get = defineCommand({
  places: "KEY",
  args: { min: 1, max: 1 },
  flags: appFlags,
  async run(call) {
    const [key = ""] = call.args;
    const value = (await read(call)).config[key];
    if (value === undefined) throw new NinesError("not_found", `${call.app()} has no config ${key}`);
    if (call.flags.json) call.out.json({ [key]: value });
    else call.out.line(value);
    return 0;
  },
});

export const set = defineCommand({
  places: "KEY=VALUE…",
  args: { min: 1, max: 500 },
  flags: { ...appFlags, ...waitFlags },
  async run(call) {
    const changes: Record<string, string> = {};
    for (const arg of call.args) {
      const at = arg.indexOf("=");
      if (at < 0) throw new UsageError(`"${arg}" has no =`, `write ${arg}=VALUE; nines config:unset removes`);
      changes[checkKey(arg.slice(0, at))] = arg.slice(at + 1);
    }
    return await change(call, changes);
  },
});

export const unset = defineCommand({
  places: "KEY…",
  args: { min: 1, max: 500 },
  flags: { ...appFlags, ...waitFlags },
  async run(call) {
    return await change(call, Object.fromEntries(call.args.map((key) => [checkKey(key), null])));
  },
});

async function read({ client, app, out }: Pick<Call, "client" | "app" | "out">): Promise<ConfigReply> {
  const reply = await client.json<ConfigReply>(path`/v1/apps/${app()}/config`);
  if (reply.staleMs > 0) out.note(toStaleNote(reply.staleMs, "the database is away"));
  return reply;
}

async function change(
  {
    client,
    app,
    out,
    flags,
  }: Pick<Call<typeof appFlags & typeof waitFlags>, "client" | "app" | "out" | "flags">,
  changes: Readonly<Record<string, string | null>>,
): Promise<number> {
  const rollout = await askChange(client, path`/v1/apps/${app()}/config`, {
    method: "PATCH",
    json: { config: changes },
  });
  if (rollout !== undefined) {
    return await watchRollout(client, out, rollout, { wait: isWaiting(flags), json: flags.json });
  }
  if (flags.json) out.json(null);
  else out.line(`${app()}: ${Object.keys(changes).join(", ")} set; no release was needed`);
  return 0;
}

function checkKey(key: string): string {
  if (keyPattern.test(key)) return key;
  throw new UsageError(
    `"${key}" cannot be the name of a config value`,
    "a name has letters, digits and _, and does not start with a digit",
  );
}
