/**
 * The app that the drill deploys, its front: answers each request with the id it came with, writes each POST into
 * its ledger, echoes WebSocket messages, streams a long answer to slow clients, and buffers and publishes orders.
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { connect } from "../../sdk/sdk.ts";
import { acceptSocket } from "./echo.ts";
import { openLedger } from "./ledger.ts";

const { PORT, NINES_INSTANCE_ID: instance = "", NINES_RELEASE: release = "" } = process.env;
const {
  ledger: folder,
  build,
  bootMs,
} = JSON.parse(readFileSync("drill.json", "utf8")) as {
  readonly ledger: string;
  readonly build: string;
  readonly bootMs: number;
};
const nines = await connect();
const ledger = openLedger("post");
const sockets = new Set<Duplex>();
const longLine = `${"a long answer, for a client that takes its time; ".repeat(20)}\n`;

const server = createServer((request, response) => {
  void serve(request, response).catch((error: Error) => {
    if (!response.headersSent) response.writeHead(503);
    response.end(`${error.message}\n`);
  });
});

/**
 * One request after another, as an instance does that computes: so it can be asked for more than it can do. It sleeps,
 * because a drill measures the platform, which runs on the same processors.
 */
let working = Promise.resolve();
function work(ms: number): Promise<void> {
  working = working.then(() => new Promise((resolve) => setTimeout(resolve, ms)));
  return working;
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://drill");
  if (url.pathname === "/healthz") return void response.end("ok");
  const id = String(request.headers["x-id"] ?? "");
  let body = "";
  request.setEncoding("utf8");
  for await (const chunk of request) body += chunk;
  if (request.method === "POST") {
    if ((JSON.parse(body) as { id: string }).id !== id) {
      return void response.writeHead(400).end("the body is not the one that was sent");
    }
    ledger.add(id);
    if (url.pathname === "/order") {
      await nines.buffer.write("payments", { key: "orders", n: 0, id }, { idempotencyKey: id });
      await nines.publish("orders", { lane: "orders", n: "0", id }, { id, deadlineMs: 15_000 });
    }
  }
  const ms = Number(url.searchParams.get("ms") ?? 0);
  if (ms > 0) await work(ms);
  response.setHeader("Content-Type", "text/plain");
  if (url.pathname === "/long") response.write(longLine.repeat(Number(url.searchParams.get("lines") ?? 200)));
  const flag = nines.flags.number("drill", -1);
  response.end(`id=${id} instance=${instance} release=${release} build=${build} flag=${flag}\n`);
}

server.on("upgrade", (request, socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
  acceptSocket(request, socket);
});

process.on("SIGTERM", () => {
  server.close(() => void nines.close().then(() => process.exit(0)));
  // "I am going away": the client knows that it may connect again.
  for (const socket of sockets) socket.end(Buffer.from([0x88, 2, 0x03, 0xe9]));
});
server.keepAliveTimeout = 120_000;
if (bootMs > 0 && !existsSync(`${folder}/live-${build}`))
  await new Promise((resolve) => setTimeout(resolve, bootMs));
server.listen(Number(PORT), () => console.log(`the drill's app listens on ${PORT}`));
