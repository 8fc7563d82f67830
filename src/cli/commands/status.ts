/** `nines status`: every part of the platform. */
import { readRoom, toRoomState } from "../../os/disk.ts";
import type { ValveReply } from "../../wire/valve-api.ts";
import type { Client } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { exitCodes } from "../exit.ts";
import { notRunning, readParts } from "../kernel.ts";
import type { Output } from "../output.ts";
import { toPartTable } from "../parts.ts";
import { toBytes } from "../progress.ts";

const turnedTimeoutMs = 1_000;

export const status = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  notes: "Exit code 69 when nothing of the platform runs.",
  async run({ flags, out, home, client }) {
    const { from, parts } = await readParts(home);
    const room = readRoom(home.root);
    const disk = room && { ...room, state: toRoomState(room) };
    if (flags.json) out.json({ parts, disk });
    if (parts.length === 0) {
      if (flags.json) return exitCodes.unavailable;
      throw notRunning(home);
    }
    if (flags.json) return exitCodes.done;
    if (from === "files") out.note("the kernel does not answer; this is what its files tell");
    out.table(...toPartTable(out, parts));
    if (disk?.state === "full") {
      out.note(`the disk of ${home.root} is full: what runs goes on, writes and changes wait for room`);
    } else if (disk?.state === "low")
      out.note(`the disk of ${home.root} has ${toBytes(disk.freeBytes)} left`);
    await noteTurned(out, client);
    return exitCodes.done;
  },
});

/** A valve that was turned and forgotten is the next outage. Nothing is said when no controller answers at once. */
async function noteTurned(out: Output, client: Client): Promise<void> {
  try {
    const ask = { patienceMs: 0, timeoutMs: turnedTimeoutMs };
    const { valves } = await client.json<{ valves: readonly ValveReply[] }>("/v1/valves", ask);
    const turned = valves.filter((valve) => valve.turned !== null).map((valve) => valve.name);
    if (turned.length > 0)
      out.note(`turned away from their default: ${turned.join(", ")} (nines valves says why)`);
  } catch {
    // The parts are what was asked for.
  }
}
