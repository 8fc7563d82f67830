/** `nines promote | pause | resume`: a rollout that goes through stages. */
import { NinesError } from "../../std/errors.ts";
import type { ChangeReply } from "../../wire/api.ts";
import type { Rollout } from "../../wire/records.ts";
import { presentStage } from "../../wire/stages.ts";
import { type Client, path } from "../client.ts";
import { appFlags, defineCommand, noArgs } from "../command.ts";
import { isWaiting, waitFlags, watchRollout } from "../rollout.ts";

export const promote = defineCommand({
  places: "",
  args: noArgs,
  flags: {
    ...appFlags,
    ...waitFlags,
    to: { kind: "text", value: "STAGE", summary: "to that stage instead of the next one" },
    now: { kind: "switch", summary: "past all stages, to everybody" },
  },
  notes: "Goes on without what the present stage still waits for. What has failed cannot be promoted.",
  async run({ flags, app, out, client }) {
    const rollout = await ask(client, app(), "promote", {
      now: flags.now,
      ...(flags.to === undefined ? {} : { to: flags.to }),
    });
    return await watchRollout(client, out, rollout, { wait: isWaiting(flags), json: flags.json });
  },
});

export const resume = defineCommand({
  places: "",
  args: noArgs,
  flags: { ...appFlags, ...waitFlags },
  notes: "The stage begins to bake anew.",
  async run({ flags, app, out, client }) {
    const rollout = await ask(client, app(), "resume", undefined);
    return await watchRollout(client, out, rollout, { wait: isWaiting(flags), json: flags.json });
  },
});

export const pause = defineCommand({
  places: "",
  args: noArgs,
  flags: appFlags,
  notes: "It stays where it is, with the users that it has, until it is promoted, resumed or rolled back.",
  async run({ flags, app, out, client }) {
    const rollout = await ask(client, app(), "pause", undefined);
    if (flags.json) out.json(rollout);
    else
      out.line(`v${rollout.target.release} of ${app()} is paused in ${presentStage(rollout.staging)?.name}`);
    return 0;
  },
});

/** Not repeated by itself: a second promotion would lead one stage too far. */
async function ask(client: Client, app: string, verb: string, json: unknown): Promise<Rollout> {
  const { rollout } = await client.json<ChangeReply>(`${path`/v1/apps/${app}/rollout`}/${verb}`, {
    method: "POST",
    ...(json === undefined ? {} : { json }),
  });
  if (rollout !== null) return rollout;
  throw new NinesError("internal", "the controller named no rollout", { blame: "platform" });
}
