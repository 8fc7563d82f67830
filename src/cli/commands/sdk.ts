/** `nines sdk`: what an app imports, packed into its folder, as no registry has it. */
import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { NinesError } from "../../std/errors.ts";
import { defineCommand, jsonFlag } from "../command.ts";

const name = "nines-sdk.tgz";

export const sdk = defineCommand({
  places: "[DIR]",
  args: { min: 0, max: 1 },
  flags: { json: jsonFlag },
  notes: `Writes ${name}; package.json names it as "nines-sdk": "file:${name}".\nIt is committed with the app.`,
  async run({ args: [folder = "."], flags, out }) {
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      throw new NinesError("invalid", `${folder} is not a folder`, {
        hint: "nines sdk DIR, the app's folder",
      });
    }
    const { packSdk } = await import("../../../scripts/pack-sdk.ts");
    const file = join(folder, name);
    renameSync(await packSdk(folder), file);
    if (flags.json) out.json({ file });
    else out.line(`${file} is there; install it with: npm install ./${name}`);
    return 0;
  },
});
