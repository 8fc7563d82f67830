/** Asks for the drill's flag by the SDK, many times a second: it always answers, and the newest value comes soon. */
import { connect } from "../../sdk/sdk.ts";
import { work } from "./hand.ts";
import { wallMs } from "./records.ts";

const everyMs = 10;
const tellEveryMs = 1_000;

await work(async ({ journal, signal, ready }) => {
  const nines = await connect();
  ready();
  let last = Number.NaN;
  let asked = 0;
  let unanswered = 0;
  let toldAt = wallMs();
  while (!signal.aborted) {
    const { value, reason } = nines.flags.details<number>("drill", -1);
    asked++;
    if (reason === "ERROR") unanswered++;
    else if (value !== last) {
      last = value;
      journal.add({ value, at: wallMs() });
    }
    if (wallMs() - toldAt >= tellEveryMs) {
      journal.add({ asked, unanswered, at: wallMs() });
      asked = unanswered = 0;
      toldAt = wallMs();
    }
    await Bun.sleep(everyMs);
  }
  journal.add({ asked, unanswered, at: wallMs() });
  await nines.close();
});
