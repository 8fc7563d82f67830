/** `nines run CMD`, `nines run:detached CMD`: a command in the release that is in service. */
import { NinesError } from "../../std/errors.ts";
import { headers, type JobReply } from "../../wire/api.ts";
import { attach } from "../attach.ts";
import { path } from "../client.ts";
import { appFlag, appFlags, defineCommand } from "../command.ts";
import { toShell } from "../shell.ts";

const notes = `Flags for the command itself go behind --, as in: nines run -a shop -- node -e "console.log(1)"
One word is taken as a shell command line, several as the words of a command.`;

export const run = defineCommand({
  places: "COMMAND…",
  args: { min: 1, max: 1_000 },
  flags: { app: appFlag, "no-tty": { kind: "switch", summary: "pipes, also where there is a terminal" } },
  notes: `${notes}\nThe exit code is that of the command.`,
  async run({ flags, args, app, out, client }) {
    return await attach(client, out, app(), toShell(args), !flags["no-tty"]);
  },
});

export const detached = defineCommand({
  places: "COMMAND…",
  args: { min: 1, max: 1_000 },
  flags: appFlags,
  notes,
  async run({ flags, args, app, out, client }) {
    const response = await client.send(path`/v1/apps/${app()}/run`, {
      method: "POST",
      json: { command: toShell(args) },
    });
    const job = (await response.json()) as JobReply;
    if (typeof job.id !== "string") {
      throw new NinesError(
        "internal",
        `the controller ${response.headers.get(headers.controller)} named no job`,
      );
    }
    if (flags.json) out.json(job);
    else out.line(`${job.id} was started; its lines are in nines logs -a ${app()} --ps run`);
    return 0;
  },
});
