// The proxy that everybody writes first: node:http in front, http.request behind, with an access log.
const { createServer, request, Agent } = require("node:http");
const { randomUUID } = require("node:crypto");
const { createWriteStream } = require("node:fs");

const [target, logPath] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const log = createWriteStream(logPath);

const server = createServer((incoming, outgoing) => {
  const started = process.hrtime.bigint();
  const id = randomUUID();
  const forwarded = incoming.headers["x-forwarded-for"];
  const address = incoming.socket.remoteAddress;
  const headers = {
    ...incoming.headers,
    "x-forwarded-for": forwarded ? `${forwarded}, ${address}` : address,
    "x-forwarded-proto": "http",
    "x-forwarded-port": String(incoming.socket.localPort),
    "x-request-id": id,
    connection: "keep-alive",
  };
  const inner = request(
    { host: "127.0.0.1", port: Number(target), method: incoming.method, path: incoming.url, headers, agent },
    (answer) => {
      outgoing.writeHead(answer.statusCode, { ...answer.headers, "x-request-id": id });
      answer.pipe(outgoing);
      answer.on("end", () => {
        const ms = Number(process.hrtime.bigint() - started) / 1e6;
        log.write(
          `${new Date().toISOString()} ${address} ${incoming.method} ${incoming.url} ${answer.statusCode} ${ms.toFixed(3)} ${id}\n`,
        );
      });
    },
  );
  inner.on("error", () => {
    outgoing.writeHead(502);
    outgoing.end();
  });
  incoming.pipe(inner);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
