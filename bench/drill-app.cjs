// The app that all peers of the drill run: an instance that does one request after another, 5 ms each, and drains when asked.
const { appendFileSync, readFileSync } = require("node:fs");
const { createServer } = require("node:http");

const { folder } = JSON.parse(readFileSync(`${__dirname}/drill.json`, "utf8"));
const build = readFileSync(`${__dirname}/build`, "utf8").trim();
let last = Promise.resolve();
const work = (ms) => (last = last.then(() => new Promise((resolve) => setTimeout(resolve, ms))));

const server = createServer(async (request, response) => {
  if (request.url === "/healthz") return response.end("ok");
  for await (const _ of request);
  const id = request.headers["x-id"] ?? "";
  if (request.method === "POST") appendFileSync(`${folder}/post-${process.pid}`, `${id}\n`);
  await work(5);
  response.end(`id=${id} pid=${process.pid} build=${build}\n`);
});
server.keepAliveTimeout = 120_000;
server.listen(Number(process.env.PORT), "127.0.0.1", () => process.send?.("ready"));
const drain = () => {
  server.close(() => process.exit(0));
  // Connections that are kept are closed once by close() itself, and those that were busy then never.
  setInterval(() => server.closeIdleConnections(), 20);
};
for (const name of ["SIGTERM", "SIGINT"]) process.on(name, drain);
