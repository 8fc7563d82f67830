// The payment service, which goes down: scale it to 0, or kill it. It knows the prices, and charges each order once,
// whatever is delivered twice: its ledger says what was charged, and is on the disk before it says so to anybody.
import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "nines-sdk";

const nines = await connect({ log: (line) => console.error(line) });
const prices = { apples: 3, pears: 4, plums: 5 };
const file = process.env.LEDGER ?? join(process.env.NINES_SPOOL ?? tmpdir(), "shop-charges.jsonl");
// What a killed process began to write ends here.
appendFileSync(file, "\n");
const charged = new Set(readLedger());
const ledger = openSync(file, "a");

function readLedger() {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line).order];
    } catch {
      return [];
    }
  });
}

await nines.buffer.handle("payments", (write) => {
  const { order, item } = write.json();
  if (charged.has(write.idempotencyKey)) return;
  writeSync(ledger, `${JSON.stringify({ order, item, price: prices[item] ?? 1, at: Date.now() })}\n`);
  fsyncSync(ledger);
  charged.add(write.idempotencyKey);
});

const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(prices));
});
server.listen(0, "127.0.0.1", () => {
  const address = `http://127.0.0.1:${server.address().port}`;
  // Until it is said: those who look for it go on with what they have.
  const say = () => nines.registry.set("services/payments", address).catch(() => setTimeout(say, 1_000));
  void say();
  console.log(`payments are made at ${address} (${nines.mode}); ${charged.size} were`);
});

process.on("SIGTERM", async () => {
  server.close();
  server.closeAllConnections();
  await nines.close();
  closeSync(ledger);
  process.exit(0);
});
