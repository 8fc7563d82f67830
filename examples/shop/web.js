// The shop's front. It goes on selling while the payment service is down: orders are published, what is to be paid
// waits in the write buffer, and prices come from the last good copy, which says how old it is.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { connect } from "nines-sdk";

const nines = await connect({ log: (line) => console.error(line) });
const services = nines.registry.watch("services");

const prices = nines.degrade(
  async (_key, signal) => {
    const address = services.get("services/payments")?.value;
    if (address === undefined) throw new Error("nobody has said yet where the payment service is");
    const answer = await fetch(`${address}/prices`, { signal });
    if (!answer.ok) throw new Error(`the payment service answered ${answer.status}`);
    return await answer.json();
  },
  {
    cache: { freshMs: 500 },
    timeoutMs: 1_000,
    breaker: { failures: 3 },
    staleIfErrorMs: 24 * 3_600_000,
    fallback: () => ({}),
  },
);

const server = createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(`${JSON.stringify(body)}\n`);
  };
  route(request, answer).catch((error) => {
    console.error(error);
    answer(error.code === "overloaded" ? 429 : 503, { message: error.message });
  });
});

async function route(request, answer) {
  const { pathname } = new URL(request.url ?? "/", "http://shop");
  if (pathname === "/health") return answer(200, { ok: true });
  if (pathname === "/" || pathname === "/catalogue") {
    const { value, source, ageMs } = await prices.read();
    return answer(200, { prices: value, source, ageMs: Math.round(ageMs) });
  }
  if (pathname === "/sold") return answer(200, await toSold());
  if (pathname === "/orders" && request.method === "POST") return await order(request, answer);
  return answer(404, { message: "there are /catalogue, /sold and POST /orders" });
}

/** `{"item":"apples"}`; a client that repeats itself says so with the same Idempotency-Key. */
async function order(request, answer) {
  let text = "";
  for await (const part of request) {
    text += part;
    if (text.length > 10_000) return answer(413, { message: "an order is smaller than that" });
  }
  let item;
  try {
    ({ item } = JSON.parse(text));
  } catch {
    // Answered below.
  }
  if (typeof item !== "string") return answer(400, { message: 'send {"item": "apples"}' });
  const id = request.headers["idempotency-key"] ?? randomUUID();
  // Safe before the answer, whatever is down; and made once, as the key says.
  const { durability } = await nines.buffer.write("payments", { order: id, item }, { idempotencyKey: id });
  await nines.publish("orders", { order: id, item }, { id });
  answer(202, { order: id, payment: durability });
}

async function toSold() {
  const entries = await nines.registry.list("sold");
  return Object.fromEntries(entries.map(({ path, value }) => [path.slice("sold/".length), value]));
}

server.listen(process.env.PORT ?? 3000, () => console.log(`the shop is open (${nines.mode})`));
process.on("SIGTERM", () => {
  server.close(async () => {
    await nines.close();
    process.exit(0);
  });
  server.closeIdleConnections();
});
