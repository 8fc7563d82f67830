/** The drill's app, its back: takes messages, once each by its inbox of what this process has seen, and writes down which. */
import { connect } from "../../sdk/sdk.ts";
import { openLedger } from "./ledger.ts";

const nines = await connect();
const ledger = openLedger("message");

nines.subscribe("orders", "worker", ({ lane = "", n = "", id = "" }) => {
  ledger.add(id || `${lane}/${n}`);
});

process.on("SIGTERM", () => void nines.close().then(() => process.exit(0)));
console.log(`the drill's worker listens (${nines.mode})`);
