/** One relay as a process of its own, for killing: `bun relay-process.ts ID DATABASE_URL`. */
import { createHttpSender, startRelay } from "../../src/buffer/buffer.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { openStore } from "../../src/store/store.ts";

const [id = "", url = ""] = process.argv.slice(2);
const log = createLog({ part: id }, () => {});
const common = { clock: systemClock, log, random: Math.random };
const store = openStore({ url, ...common, name: id });
const send = createHttpSender({
  fetch: (to, init) => fetch(to, init),
  clock: systemClock,
  routers: () => "",
});
startRelay({ store: store.relays, send, holder: `${id}/${crypto.randomUUID()}`, ...common });
// The test that started it is gone: so are we.
setInterval(() => process.ppid === 1 && process.exit(1), 500);
