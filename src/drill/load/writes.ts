/** Keys that write numbered writes into the buffer by the SDK, each one at a time. */
import { connect } from "../../sdk/sdk.ts";
import { work } from "./hand.ts";
import { wallMs } from "./records.ts";

interface Options {
  readonly journal: string;
  readonly keys: number;
  readonly perSecond: number;
}

await work<Options>(async ({ options, journal, signal, ready }) => {
  const nines = await connect();
  ready();
  const writer = async (key: string) => {
    for (let n = 1; !signal.aborted; n++) {
      const at = wallMs();
      const id = `${key}-${n}`;
      const known = { key, n, id, at };
      await nines.buffer.write("payments", { key, n, id }, { key, idempotencyKey: id }).then(
        ({ durability }) => journal.add({ ...known, tookMs: wallMs() - at, ok: true, durability }),
        (error: Error) => journal.add({ ...known, tookMs: wallMs() - at, ok: false, why: error.message }),
      );
      await Bun.sleep(Math.max(0, 1_000 / options.perSecond - (wallMs() - at)));
    }
  };
  await Promise.all(Array.from({ length: options.keys }, (_, at) => writer(`key-${at + 1}`)));
  const endAt = wallMs() + 30_000;
  while (nines.buffer.spooled > 0 && wallMs() < endAt) await Bun.sleep(20);
  await nines.close();
});
