/** `nines apps`, `apps:create`, `apps:destroy`. */
import { toDuration } from "../../std/duration.ts";
import { NinesError } from "../../std/errors.ts";
import type { AppReply, AppsReply } from "../../wire/api.ts";
import { type Client, path } from "../client.ts";
import { appFlags, defineCommand, jsonFlag, noArgs } from "../command.ts";
import { chooseApp } from "../context.ts";
import { askInstances } from "../instances.ts";
import { UsageError } from "../usage.ts";
import { toStaleNote } from "../when.ts";
import { toFormation } from "./ps.ts";

const stopTimeoutMs = 60_000;

export const apps = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  async run({ flags, out, client }) {
    const reply = await client.json<AppsReply>("/v1/apps");
    if (flags.json) out.json(reply.apps);
    if (reply.staleMs > 0) out.note(toStaleNote(reply.staleMs, "the database is away"));
    if (flags.json) return 0;
    if (reply.apps.length === 0) out.note("there is no app yet; nines deploy DIR -a APP makes one");
    else {
      out.table(
        ["APP", "RELEASE", "FORMATION", "DOMAINS"],
        reply.apps.map((app) => [
          app.name,
          app.release === null ? "-" : `v${app.release}`,
          `${toFormation(app.formation)}${app.maintenance ? " (maintenance)" : ""}`,
          app.domains.join(", "),
        ]),
      );
    }
    return 0;
  },
});

export const create = defineCommand({
  places: "APP",
  args: { min: 0, max: 1 },
  flags: appFlags,
  async run({ flags, args: [name], env, out, client }) {
    const app = chooseApp(name ?? flags.app, env);
    const reply = await client.json<AppReply>("/v1/apps", { method: "POST", json: { name: app } });
    if (flags.json) out.json(reply);
    else out.line(`${app} is there; nines deploy DIR -a ${app} puts something in service`);
    return 0;
  },
});

export const destroy = defineCommand({
  places: "[APP] --confirm APP",
  args: { min: 0, max: 1 },
  flags: {
    ...appFlags,
    confirm: { kind: "text", value: "APP", summary: "the app's name again: nothing can bring it back" },
  },
  async run({ flags, args: [name], env, out, client }) {
    const app = chooseApp(name ?? flags.app, env);
    if (flags.confirm !== app) {
      throw new UsageError(
        flags.confirm === undefined
          ? `${app} and all its releases would be gone for good`
          : `--confirm ${flags.confirm} does not name ${app}`,
        `if that is meant: nines apps:destroy ${app} --confirm ${app}`,
      );
    }
    await client.json(`${path`/v1/apps/${app}`}?${new URLSearchParams({ confirm: app })}`, {
      method: "DELETE",
      repeatable: false,
    });
    await untilStopped(client, app);
    if (flags.json) out.json({ app, destroyed: true });
    else out.line(`${app} is gone`);
    return 0;
  },
});

async function untilStopped(client: Client, app: string): Promise<void> {
  const deadline = performance.now() + stopTimeoutMs;
  for (let last = ""; ; ) {
    try {
      const { instances } = await askInstances(client, undefined);
      const left = instances.filter((one) => one.app === app && one.state !== "down");
      if (left.length === 0) return;
      last = `still runs: ${left.map((one) => one.name).join(", ")}`;
    } catch (error) {
      if (!(error instanceof NinesError) || !error.retryable) throw error;
      last = `it is not known whether all of it stopped: ${error.message}`;
    }
    if (performance.now() > deadline) {
      throw new NinesError("timeout", `${app} is removed, but after ${toDuration(stopTimeoutMs)} ${last}`);
    }
    await Bun.sleep(200);
  }
}
