/** Waits until what runs is what is wanted; the policy is pure. */
import { toDuration } from "../std/duration.ts";
import { NinesError } from "../std/errors.ts";
import type { AppReply } from "../wire/api.ts";
import type { Instance } from "../wire/messages.ts";
import type { Formation } from "../wire/records.ts";
import { type Client, path } from "./client.ts";
import { askInstances } from "./instances.ts";

const pollMs = 200;
export const settleTimeoutMs = 120_000;

/** What is still missing, in words; none when the formation runs, and nothing but it. */
export function toMissing(
  formation: Formation,
  release: number | null,
  instances: readonly Instance[],
): readonly string[] {
  const missing: string[] = [];
  const types = new Set([...Object.keys(formation), ...instances.map((instance) => instance.type)]);
  for (const type of [...types].toSorted()) {
    const wanted = formation[type] ?? 0;
    const ours = instances.filter((instance) => instance.type === type && instance.state !== "down");
    const up = ours.filter((instance) => instance.state === "up" && instance.release === release).length;
    const crashed = ours.find((instance) => instance.state === "crashed");
    if (up < wanted) {
      const why = crashed === undefined ? "" : ` (${crashed.name} crashed: ${crashed.reason || "no reason"})`;
      missing.push(`${type}: ${up} of ${wanted} up${why}`);
    } else if (ours.length > wanted) {
      missing.push(`${type}: ${ours.length - wanted} not stopped yet`);
    }
  }
  return missing;
}

/**
 * Resolves when the app runs its formation. `asked` is what was just asked for: an answer that does not know
 * it yet does not count. Throws `timeout` that says what is missing.
 */
export async function untilSettled(
  client: Client,
  app: string,
  timeoutMs: number,
  asked?: Formation,
): Promise<Formation> {
  const deadline = performance.now() + timeoutMs;
  let heard = asked === undefined;
  for (let last = "nothing is known yet"; ; ) {
    try {
      const reply = await client.json<AppReply>(path`/v1/apps/${app}`);
      const { instances } = await askInstances(client, app);
      heard ||= Bun.deepEquals(reply.formation, asked);
      const missing = toMissing(reply.formation, reply.release, instances);
      if (heard && missing.length === 0) return reply.formation;
      last = missing.join("; ");
    } catch (error) {
      if (!(error instanceof NinesError) || !error.retryable) throw error;
      last = error.message;
    }
    if (performance.now() >= deadline) {
      throw new NinesError("timeout", `${app} is not as wanted after ${toDuration(timeoutMs)}: ${last}`, {
        hint: `nines ps -a ${app} and nines logs -a ${app} show why`,
      });
    }
    await Bun.sleep(pollMs);
  }
}
