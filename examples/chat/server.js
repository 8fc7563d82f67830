// A room for all who are connected to this instance: each message goes to everyone.
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { WebSocketServer } = require("ws");

const { PORT = 3000, NINES_PROCESS = "web.1", NINES_RELEASE = "v0" } = process.env;
const page = fs.readFileSync(path.join(__dirname, "page.html"));

const server = http.createServer((request, response) => {
  if (request.url === "/health") return response.end("ok\n");
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(page);
});

const room = new WebSocketServer({ server, path: "/socket", maxPayload: 4096 });
const say = (text) => {
  for (const client of room.clients) if (client.readyState === 1) client.send(text);
};

room.on("connection", (socket) => {
  socket.send(`You are in the room of ${NINES_PROCESS}, ${NINES_RELEASE}; ${room.clients.size} here.`);
  socket.on("message", (data) => say(data.toString()));
  socket.on("error", () => socket.terminate());
});

server.listen(PORT, () => console.log(`listening on ${PORT}`));

// 1012 is "service restart": the page connects again and lands on a new instance.
process.on("SIGTERM", () => {
  for (const client of room.clients) client.close(1012, "restarting");
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
