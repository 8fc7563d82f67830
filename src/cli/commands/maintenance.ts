/** `nines maintenance`, `maintenance:on`, `maintenance:off`: an app answers 503 on purpose. */
import { path } from "../client.ts";
import { appFlags, type Command, defineCommand, noArgs } from "../command.ts";

export const maintenance = defineCommand({
  places: "",
  args: noArgs,
  flags: appFlags,
  async run({ flags, app, out, client }) {
    const { on } = await client.json<{ on: boolean }>(path`/v1/apps/${app()}/maintenance`);
    if (flags.json) out.json({ app: app(), on });
    else out.line(on ? "on" : "off");
    return 0;
  },
});

export const on: Command = toSwitch(true);
export const off: Command = toSwitch(false);

function toSwitch(on: boolean): Command {
  return defineCommand({
    places: "",
    args: noArgs,
    flags: appFlags,
    async run({ flags, app, out, client }) {
      await client.json(path`/v1/apps/${app()}/maintenance`, { method: "PUT", json: { on } });
      if (flags.json) out.json({ app: app(), on });
      else out.line(on ? `${app()} is in maintenance: it answers 503` : `${app()} is open`);
      return 0;
    },
  });
}
