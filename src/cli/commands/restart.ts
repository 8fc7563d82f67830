/** `nines restart [web | web.1]`: all instances of an app, of a type, or one. */
import { NinesError } from "../../std/errors.ts";
import type { Instance } from "../../wire/messages.ts";
import { path } from "../client.ts";
import { appFlags, defineCommand } from "../command.ts";
import { askInstances } from "../instances.ts";
import { askChange, isWaiting, waitFlags, watchRollout } from "../rollout.ts";
import { settleTimeoutMs, untilSettled } from "../settle.ts";

export const restart = defineCommand({
  places: "[TYPE | INSTANCE]",
  args: { min: 0, max: 1 },
  flags: { ...appFlags, ...waitFlags },
  notes: "A whole app is replaced as in a deploy: the new instances are up before the old ones stop.",
  async run({ flags, args: [process], app, out, client }) {
    const isOurs = (instance: Instance) =>
      process === undefined || instance.name === process || instance.type === process;
    const before = (await askInstances(client, app())).instances.filter(isOurs);
    if (process !== undefined && before.length === 0) {
      throw new NinesError("not_found", `${app()} has no instance ${process}`, {
        hint: `nines ps -a ${app()} lists them`,
      });
    }
    const rollout = await askChange(client, path`/v1/apps/${app()}/restart`, {
      method: "POST",
      json: process === undefined ? {} : { process },
    });
    if (rollout !== undefined) {
      return await watchRollout(client, out, rollout, { wait: isWaiting(flags), json: flags.json });
    }
    const what = process ?? "everything";
    if (!flags["no-wait"]) {
      await untilGone(client, app(), new Set(before.map((instance) => instance.id)));
      await untilSettled(client, app(), settleTimeoutMs);
    }
    if (flags.json) out.json({ app: app(), restarted: before.map((instance) => instance.name) });
    else out.line(`${app()}: ${what} ${flags["no-wait"] ? "is being restarted" : "restarted"}`);
    return 0;
  },
});

/** Resolves when none of these very instances runs any more. */
async function untilGone(
  client: Parameters<typeof askInstances>[0],
  app: string,
  ids: ReadonlySet<string>,
): Promise<void> {
  const deadline = performance.now() + settleTimeoutMs;
  for (;;) {
    const { instances } = await askInstances(client, app);
    const left = instances.filter((instance) => ids.has(instance.id) && instance.state !== "down");
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      throw new NinesError("timeout", `${left.map((one) => one.name).join(", ")} did not stop`);
    }
    await Bun.sleep(200);
  }
}
