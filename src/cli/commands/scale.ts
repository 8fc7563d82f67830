/** `nines scale web=3 worker+1`: how many instances of each process type. */
import type { FormationReply } from "../../wire/api.ts";
import { path } from "../client.ts";
import { appFlags, defineCommand } from "../command.ts";
import { settleTimeoutMs, untilSettled } from "../settle.ts";
import { UsageError } from "../usage.ts";
import { toFormation } from "./ps.ts";

const change = /^[A-Za-z0-9][A-Za-z0-9_-]*?[=+-]\d{1,4}$/;

export const scale = defineCommand({
  places: "[TYPE=N | TYPE+N | TYPE-N]…",
  args: { min: 0, max: 50 },
  flags: {
    ...appFlags,
    wait: { kind: "switch", summary: "wait until they are up, and the others gone" },
    timeout: { kind: "number", value: "SECONDS", min: 1, max: 86_400, summary: "give up after (120)" },
  },
  notes: "Without a change: shows the formation.",
  async run({ flags, args, app, out, client }) {
    const wrong = args.find((arg) => !change.test(arg));
    if (wrong !== undefined) {
      throw new UsageError(`"${wrong}" is not a change`, "write web=3, worker+1 or worker-1");
    }
    const place = path`/v1/apps/${app()}/formation`;
    const reply =
      args.length === 0
        ? await client.json<FormationReply>(place)
        : await client.json<FormationReply>(place, {
            method: "PATCH",
            json: { changes: args },
            repeatable: args.every((arg) => arg.includes("=")),
          });
    if (flags.wait) {
      const timeoutMs = flags.timeout === undefined ? settleTimeoutMs : flags.timeout * 1_000;
      await untilSettled(client, app(), timeoutMs, reply.formation);
    }
    if (flags.json) out.json({ app: app(), formation: reply.formation });
    else out.line(`${app()}: ${toFormation(reply.formation)}`);
    return 0;
  },
});
