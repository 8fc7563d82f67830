/** `nines domains`, `domains:add`, `domains:remove`. */
import type { DomainsReply } from "../../wire/api.ts";
import { path } from "../client.ts";
import { appFlags, defineCommand, noArgs } from "../command.ts";
import { portIn } from "../context.ts";
import { toStaleNote } from "../when.ts";

export const domains = defineCommand({
  places: "",
  args: noArgs,
  flags: appFlags,
  async run({ flags, app, out, client, home }) {
    const reply = await client.json<DomainsReply>(path`/v1/apps/${app()}/domains`);
    if (flags.json) out.json(reply.domains);
    if (reply.staleMs > 0) out.note(toStaleNote(reply.staleMs, "the database is away"));
    if (flags.json) return 0;
    const port = portIn(home, "router");
    out.line(`${app()}.localhost${port === undefined ? "" : ` (http://${app()}.localhost:${port})`}`);
    for (const domain of reply.domains) out.line(domain);
    return 0;
  },
});

export const add = defineCommand({
  places: "HOST",
  args: { min: 1, max: 1 },
  flags: appFlags,
  async run({ flags, args: [host = ""], app, out, client }) {
    await client.json(path`/v1/apps/${app()}/domains/${host}`, { method: "PUT", json: {} });
    if (flags.json) out.json({ app: app(), domain: host });
    else out.line(`${host} leads to ${app()}`);
    return 0;
  },
});

export const remove = defineCommand({
  places: "HOST",
  args: { min: 1, max: 1 },
  flags: appFlags,
  async run({ flags, args: [host = ""], app, out, client }) {
    await client.json(path`/v1/apps/${app()}/domains/${host}`, { method: "DELETE", repeatable: false });
    if (flags.json) out.json({ app: app(), domain: null });
    else out.line(`${host} leads nowhere now`);
    return 0;
  },
});
