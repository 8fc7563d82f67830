/** The moment from which commands work: a controller leads, and has the database. */
import { toDuration } from "../std/duration.ts";
import { NinesError } from "../std/errors.ts";
import type { StatusReply } from "../wire/api.ts";
import type { Client } from "./client.ts";

const readyTimeoutMs = 30_000;
/** Each answer costs the controller milliseconds that the start itself needs. */
const pollMs = 40;

/** Resolves when changes are accepted. Throws `timeout` that says what is missing. */
export async function untilReady(client: Client): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  for (let missing = ""; ; ) {
    try {
      const { leader, staleMs } = await client.json<StatusReply>("/v1/status", { patienceMs: 1_000 });
      if (leader !== null && staleMs === 0) return;
      missing = leader === null ? "no controller leads" : "the database is away";
    } catch (error) {
      if (!(error instanceof NinesError) || !error.retryable) throw error;
      missing = error.message;
    }
    if (performance.now() > deadline) {
      throw new NinesError("timeout", `its parts run, but after ${toDuration(readyTimeoutMs)} ${missing}`, {
        blame: "platform",
        hint: "nines status shows the parts; their logs are in log/ of the home",
      });
    }
    await Bun.sleep(pollMs);
  }
}
