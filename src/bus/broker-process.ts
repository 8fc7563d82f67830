/** A broker as a process of its own, for tests and benches: prints its port, runs until it is killed. */
import { readFileSync } from "node:fs";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { startBroker } from "./broker.ts";

const {
  BUS_PORT = "0",
  BUS_SECRET,
  BUS_LIMITS = "{}",
  BUS_DIR,
  BUS_HTTP_PORT,
  BUS_CERT,
  BUS_KEY,
} = process.env;
const broker = await startBroker({
  host: "127.0.0.1",
  port: Number(BUS_PORT),
  secret: BUS_SECRET,
  dir: BUS_DIR,
  tls:
    BUS_CERT === undefined || BUS_KEY === undefined
      ? undefined
      : { cert: readFileSync(BUS_CERT, "utf8"), key: readFileSync(BUS_KEY, "utf8") },
  httpPort: BUS_HTTP_PORT === undefined ? undefined : Number(BUS_HTTP_PORT),
  clock: systemClock,
  log: createLog({ part: "broker" }),
  limits: JSON.parse(BUS_LIMITS),
});
console.log(`port=${broker.port}`);
