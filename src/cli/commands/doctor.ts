/** `nines doctor`: looks at this machine and says what would trouble Nines, and what to do about it. */
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import type { Finding } from "../finding.ts";
import { findings } from "../findings.ts";
import type { Colour } from "../output.ts";

const colours: Record<Finding["level"], Colour> = { ok: "green", advice: "yellow", problem: "red" };

export const doctor = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  notes: "Exit code 1 when there is a problem; advice alone is no problem.",
  async run({ flags, env, out, home }) {
    const { parseConfig } = await import("../../platform/config.ts");
    const list = await findings(parseConfig(env), home);
    if (flags.json) out.json({ findings: list });
    else {
      for (const { level, what, found, advice } of list) {
        out.line(`${out.paint(colours[level], level.padEnd(7))}  ${what}: ${found}`);
        if (advice !== undefined) out.line(`         ${advice}`);
      }
    }
    return list.some(({ level }) => level === "problem") ? 1 : 0;
  },
});
