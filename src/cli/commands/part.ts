/** `nines part stop|start|restart ID`: one part of the platform, through the kernel. */
import { defineCommand, jsonFlag } from "../command.ts";
import { isRunning, notRunning } from "../kernel.ts";
import { suggest, UsageError } from "../usage.ts";

const verbs = { stop: "stopped", start: "started", restart: "restarted" } as const;

export const part = defineCommand({
  places: "stop|start|restart PART",
  args: { min: 2, max: 2 },
  flags: { json: jsonFlag },
  notes: "Parts are named as nines status names them: router.1, controller.2, agent …",
  async run({ flags, args: [verb = "", id = ""], out, home }) {
    if (verb !== "stop" && verb !== "start" && verb !== "restart") {
      const near = suggest(verb, Object.keys(verbs));
      throw new UsageError(
        `a part can be stopped, started and restarted, not "${verb}"`,
        near === undefined ? "usage: nines part stop|start|restart PART" : `did you mean ${near}?`,
      );
    }
    if (!isRunning(home)) throw notRunning(home);
    const { commandPart } = await import("../../platform/kernel-client.ts");
    await commandPart(home, id, verb);
    if (flags.json) out.json({ part: id, [verbs[verb]]: true });
    else out.line(`${id} ${verbs[verb]}`);
    return 0;
  },
});
