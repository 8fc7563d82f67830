/**
 * `nines upgrade`: the platform's own parts start again, with the code that is on the disk now, one after
 * another. The first of each kind has to serve before the next one goes; the first that does not come back
 * ends it, and the others run on as they were.
 */
import { NinesError, toError } from "../../std/errors.ts";
import type { PartKind, PartStatus } from "../../wire/part.ts";
import type { Client } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { portIn } from "../context.ts";
import { isRunning, notRunning } from "../kernel.ts";

/** What nobody waits for first. PostgreSQL, kernel and heart are not restarted: their code is not the platform's. */
const order: readonly PartKind[] = ["relay", "broker", "controller", "agent", "router"];
const backMs = 60_000;
const lookMs = 200;
/** So long it has to stay up. */
const steadyMs = 1_000;

/** The first of each kind, in order, and only then the rest of all. */
export function toUpgradeOrder(parts: readonly PartStatus[]): readonly string[] {
  const kinds = order.map((kind) => parts.filter((part) => part.kind === kind).map((part) => part.name));
  return [...kinds.flatMap(([first]) => first ?? []), ...kinds.flatMap(([, ...rest]) => rest)];
}

export const upgrade = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag },
  notes: `One part at a time: the first of each kind, then the rest. It ends at the first that is not up and
serving again within a minute. Apps run on; an orderly restart of a router fails no request.`,
  async run({ flags, out, home, client }) {
    if (!isRunning(home)) throw notRunning(home);
    const { askParts, commandPart } = await import("../../platform/kernel-client.ts");
    const parts = await askParts(home);
    const sick = parts.filter((part) => part.state !== "up").map((part) => part.name);
    if (sick.length > 0) {
      throw new NinesError("conflict", `not every part is up: ${sick.join(", ")}`, {
        hint: "nines status shows them; an upgrade begins when all are well",
      });
    }
    const names = toUpgradeOrder(parts);
    const done: string[] = [];
    for (const name of names) {
      const before = parts.find((part) => part.name === name)?.pid;
      try {
        await commandPart(home, name, "restart");
        await untilBack(() => askParts(home), name, before);
        await checkServing(client, portIn(home, "router"));
      } catch (error) {
        const left = names.slice(done.length + 1);
        const why = toError(error).message;
        throw new NinesError("unavailable", `the upgrade ended at ${name}: ${why}`, {
          cause: error,
          blame: "platform",
          hint: `left as they were: ${left.join(", ") || "none"}; nines status and its log say more`,
        });
      }
      done.push(name);
      if (!flags.json) out.line(`${name} is back (${done.length} of ${names.length})`);
    }
    if (flags.json) out.json({ restarted: done });
    return 0;
  },
});

/** It runs as another process, stays so, and so does everybody else. */
async function untilBack(
  ask: () => Promise<readonly PartStatus[]>,
  name: string,
  before: number | null | undefined,
): Promise<void> {
  const deadline = performance.now() + backMs;
  let upSince: number | undefined;
  let upPid: number | null = null;
  for (;;) {
    const parts = await ask();
    const part = parts.find((one) => one.name === name);
    const now = performance.now();
    const isBack = part?.state === "up" && part.pid !== before && parts.every((one) => one.state === "up");
    if (!isBack || part.pid !== upPid) upSince = isBack ? now : undefined;
    upPid = part?.pid ?? null;
    if (upSince !== undefined && now - upSince >= steadyMs) return;
    if (now >= deadline) {
      const state = part === undefined ? "gone" : part.state;
      throw new NinesError("timeout", `it was ${state}, not up for a second, after ${backMs / 1_000} s`);
    }
    await Bun.sleep(lookMs);
  }
}

/** A controller answers, and a router answers something. */
async function checkServing(client: Client, router: number | undefined): Promise<void> {
  await client.json("/v1/status");
  if (router === undefined) return;
  await fetch(`http://127.0.0.1:${router}/`, { signal: AbortSignal.timeout(10_000), redirect: "manual" });
}
