/** `nines version`. */
import manifest from "../../../package.json" with { type: "json" };
import { defineCommand, jsonFlag, noArgs } from "../command.ts";

export const version = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  async run({ flags, out }) {
    if (flags.json) out.json({ nines: manifest.version, bun: Bun.version });
    else out.line(`nines ${manifest.version} on Bun ${Bun.version}, ${process.platform} ${process.arch}`);
    return 0;
  },
});
