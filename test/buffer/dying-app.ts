/** An app that dies between its write and its commit: `bun dying-app.ts DATABASE_URL KEY IDEMPOTENCY_KEY`. */
import postgresClient from "postgres";
import { startBuffer } from "../../src/buffer/buffer.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { openStore } from "../../src/store/store.ts";

const [url = "", key = "", idempotencyKey = ""] = process.argv.slice(2);
const common = { clock: systemClock, log: createLog({}, () => {}), random: Math.random };
const store = openStore({ url, ...common });
await store.ready(AbortSignal.timeout(30_000));
const buffer = await startBuffer({ store: store.writes, ...common });
const sql = postgresClient(url, { max: 1, onnotice: () => {}, connect_timeout: 2, fetch_types: false });
await sql.begin(async (tx) => {
  await buffer.write("pay", { key, n: Number.MAX_SAFE_INTEGER }, { key, idempotencyKey, tx });
  process.kill(process.pid, "SIGKILL");
  await new Promise(() => {});
});
