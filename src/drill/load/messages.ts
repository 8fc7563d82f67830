/** Lanes that publish numbered messages by the SDK, each one at a time, at a steady rate. */
import { connect } from "../../sdk/sdk.ts";
import { work } from "./hand.ts";
import { wallMs } from "./records.ts";

interface Options {
  readonly journal: string;
  readonly lanes: number;
  readonly perSecond: number;
}

await work<Options>(async ({ options, journal, signal, ready }) => {
  const nines = await connect();
  ready();
  const lane = async (name: string) => {
    for (let n = 1; !signal.aborted; n++) {
      const at = wallMs();
      const known = { lane: name, n, at };
      await nines.publish("orders", { lane: name, n: String(n) }, { deadlineMs: 20_000 }).then(
        () => journal.add({ ...known, tookMs: wallMs() - at, ok: true }),
        (error: Error) => journal.add({ ...known, tookMs: wallMs() - at, ok: false, why: error.message }),
      );
      await Bun.sleep(Math.max(0, 1_000 / options.perSecond - (wallMs() - at)));
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, (_, at) => lane(`lane-${at + 1}`)));
  await nines.close();
});
