/** After the last step: lets everything drain, reads what the loads and the app wrote down, and has it checked. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Deed } from "./deed.ts";
import type { Ground } from "./ground.ts";
import { readJournal } from "./load/journal.ts";
import type { Loads } from "./loads.ts";
import { checkFlags } from "./model/flags.ts";
import { checkMessages } from "./model/messages.ts";
import { checkOverload } from "./model/overload.ts";
import { checkPosts, checkRequests, checkSlow, type HttpRecord } from "./model/requests.ts";
import { checkWrites } from "./model/writes.ts";
import type { Effect, FlagRead, Heard, Published, SlowRead, Written } from "./records.ts";
import type { Findings } from "./verdict.ts";

/** A backlog may take its time; without any progress for so long it is not coming. */
const stalledMs = 20_000;
const lookEveryMs = 500;

export interface Evidence {
  readonly records: readonly HttpRecord[];
  readonly found: Omit<Findings, "left" | "leaks">;
}

export async function audit(
  ground: Ground,
  loads: Loads,
  deeds: readonly Deed[],
  endedAt: number,
): Promise<Evidence> {
  await loads.quiet();
  const all = <T>(name: string) => readJournal<T>(loads.journal(name));
  const records = all<HttpRecord>("http");
  const orderRecords = all<HttpRecord>("orders");
  const http = checkRequests([...records, ...orderRecords], deeds);
  const orders = checkRequests(orderRecords, deeds).posted;
  const [published, written] = [all<Published>("messages"), all<Written>("writes")];
  const messages = () =>
    checkMessages(published, orders, all<Heard>("audit"), readLedger(ground.ledger, "message"), deeds);
  const writes = () => checkWrites(written, orders, all<Effect>("target"), deeds);
  await drained(() => messages().lost.length + writes().lost.length);
  await loads.stop();
  const slowReads = all<SlowRead>("slow");
  return {
    records: [...records, ...orderRecords],
    found: {
      requests: http,
      posts: checkPosts(http.posted, readLedger(ground.ledger, "post")),
      slow: checkSlow(slowReads, deeds),
      slowReads: slowReads.length,
      messages: messages(),
      writes: writes(),
      flags: checkFlags(all<FlagRead>("flags"), deeds, endedAt),
      overload: checkOverload(records, deeds),
      deeds,
    },
  };
}

async function drained(missing: () => number): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  let progressAt = performance.now();
  while (performance.now() - progressAt < stalledMs) {
    const now = missing();
    if (now === 0) return;
    if (now < least) progressAt = performance.now();
    least = Math.min(least, now);
    await Bun.sleep(lookEveryMs);
  }
}

/** What the instances wrote down, over all of them: how often each id. */
function readLedger(folder: string, kind: "post" | "message"): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(`${kind}-`)) continue;
    for (const id of readFileSync(join(folder, file), "utf8").split("\n")) {
      if (id !== "") counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  }
  return counts;
}
