// Says who answers. No dependencies.
const http = require("node:http");

const {
  PORT = 3000,
  NINES_PROCESS = "web.1",
  NINES_RELEASE = "v0",
  NINES_INSTANCE_ID = "local",
} = process.env;

const server = http.createServer((request, response) => {
  if (request.url === "/health") return response.end("ok\n");
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(`Hello from ${NINES_PROCESS}, release ${NINES_RELEASE}, instance ${NINES_INSTANCE_ID}\n`);
});

server.listen(PORT, () => console.log(`listening on ${PORT}`));

// Finish what has begun, then go.
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
