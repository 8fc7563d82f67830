/** `nines tokens` and its verbs: who may use the API, by which name. */
import { roles, type TokenMade, type TokenReply } from "../../wire/tokens.ts";
import { path } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { UsageError } from "../usage.ts";
import { toAge } from "../when.ts";

export const tokens = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  notes: "Beside the one in the home folder, which is the admin's and has no name but admin.",
  async run({ flags, out, client }) {
    const reply = await client.json<{ tokens: readonly TokenReply[] }>("/v1/tokens");
    if (flags.json) out.json(reply.tokens);
    else if (reply.tokens.length === 0) out.note("there is none; nines tokens add NAME makes one");
    else {
      out.table(
        ["TOKEN", "ROLE", "MADE", "BY"],
        reply.tokens.map(({ name, role, at, by }) => [name, role, `${toAge(at)} ago`, by]),
      );
    }
    return 0;
  },
});

export const add = defineCommand({
  places: "NAME",
  args: { min: 1, max: 1 },
  flags: {
    json: jsonFlag,
    role: { kind: "text", value: roles.join("|"), summary: "what it may (viewer)" },
  },
  notes:
    "A viewer reads, but neither config nor what apps hold, and changes nothing. The name stands in every\n" +
    "history as the author. The token is printed once, for NINES_TOKEN; the platform keeps only its hash.",
  async run({ flags, args: [name = ""], out, client }) {
    const { role = "viewer" } = flags;
    if (!roles.some((one) => one === role))
      throw new UsageError(`there is no role "${role}"`, roles.join(" or "));
    const made = await client.json<TokenMade>("/v1/tokens", { method: "POST", json: { name, role } });
    if (flags.json) out.json(made);
    else out.line(made.token);
    return 0;
  },
});

export const revoke = defineCommand({
  places: "NAME",
  args: { min: 1, max: 1 },
  flags: { json: jsonFlag },
  async run({ flags, args: [name = ""], out, client }) {
    await client.json(path`/v1/tokens/${name}`, { method: "DELETE", repeatable: false });
    if (flags.json) out.json({ name, revoked: true });
    else out.line(`${name} opens nothing any more`);
    return 0;
  },
});
