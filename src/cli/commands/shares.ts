/** `nines bus:share`, `bus:unshare`, `bus:shares`: which other apps may use an app's topics. */
import type { SharesReply } from "../../wire/api.ts";
import { path } from "../client.ts";
import { appFlags, type Call, defineCommand, noArgs } from "../command.ts";
import { UsageError } from "../usage.ts";
import { toStaleNote } from "../when.ts";

const flags = {
  ...appFlags,
  with: { kind: "text", value: "APP", summary: "the other app" },
} as const;
const notes = "TOPIC is APP.NAME, or NAME alone with -a.";

export const share = defineCommand({
  places: "TOPIC",
  args: { min: 1, max: 1 },
  flags,
  notes: `${notes} The other app may publish to it, and hear\nit in channels that carry its own name.`,
  async run(call) {
    const { owner, topic, guest } = parse(call);
    const reply = await call.client.json<SharesReply>(path`/v1/apps/${owner}/shares/${topic}/${guest}`, {
      method: "PUT",
      json: {},
    });
    if (call.flags.json) call.out.json(reply.shares);
    else call.out.line(`${guest} may use ${owner}.${topic}`);
    return 0;
  },
});

export const unshare = defineCommand({
  places: "TOPIC",
  args: { min: 1, max: 1 },
  flags,
  notes: `${notes} The other app's subscriptions end at once.`,
  async run(call) {
    const { owner, topic, guest } = parse(call);
    const reply = await call.client.json<SharesReply>(path`/v1/apps/${owner}/shares/${topic}/${guest}`, {
      method: "DELETE",
      repeatable: false,
    });
    if (call.flags.json) call.out.json(reply.shares);
    else call.out.line(`${guest} may no longer use ${owner}.${topic}`);
    return 0;
  },
});

export const shares = defineCommand({
  places: "",
  args: noArgs,
  flags: appFlags,
  async run({ flags, app, out, client }) {
    const reply = await client.json<SharesReply>(path`/v1/apps/${app()}/shares`);
    if (flags.json) out.json(reply.shares);
    if (reply.staleMs > 0) out.note(toStaleNote(reply.staleMs, "the database is away"));
    if (flags.json) return 0;
    if (reply.shares.length === 0) out.note(`${app()} shares no topic`);
    else {
      const rows = reply.shares.map((one) => [`${app()}.${one.topic}`, one.with.join(", ")]);
      out.table(["TOPIC", "SHARED WITH"], rows);
    }
    return 0;
  },
});

/** `shop.orders`, or `orders` of the app that `-a` names. */
function parse({ args: [name = ""], flags: given, app, env }: Call<typeof flags>) {
  if (given.with === undefined) throw new UsageError("with whom?", "--with APP names the other app");
  const guest = given.with;
  // What a URL would read as a way to somewhere else.
  if (/(^|\.)\.?\.$/.test(name)) throw new UsageError(`"${name}" cannot be a topic`, "write APP.NAME");
  if (given.app === undefined && env.NINES_APP === undefined) {
    const at = name.indexOf(".");
    if (at <= 0)
      throw new UsageError(`whose topic is "${name}"?`, `write APP.${name || "TOPIC"}, or add -a APP`);
    return { owner: name.slice(0, at), topic: name.slice(at + 1), guest };
  }
  const owner = app();
  return { owner, topic: name.startsWith(`${owner}.`) ? name.slice(owner.length + 1) : name, guest };
}
