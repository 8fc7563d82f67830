/** An app that writes a little for each request, and says that it is well only when a write gets through. */
import { writeApp } from "../apps.ts";

const server = (disk: string) => `
const { connect } = require("node:net");
const { createServer } = require("node:http");
const waiting = new Map();
let serial = 0;
let rest = "";
const disk = connect(${JSON.stringify(disk)});
disk.setEncoding("utf8");
disk.on("error", () => {});
disk.on("data", (text) => {
  const lines = (rest + text).split("\\n");
  rest = lines.pop();
  for (const line of lines) {
    const id = line.split(" ")[0];
    waiting.get(id)?.();
    waiting.delete(id);
  }
});
const write = (ms) => new Promise((resolve) => {
  const id = String(++serial);
  waiting.set(id, resolve);
  disk.write(id + " " + ms + "\\n");
});
const server = createServer(async (request, response) => {
  await write(request.url === "/healthz" ? 1 : 3);
  response.end("id=" + (request.headers["x-id"] ?? "") + "\\n");
});
process.on("SIGTERM", () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
server.listen(process.env.PORT ?? 0);
`;

export function writeShop(folder: string, disk: string, web: number): string {
  return writeApp(folder, {
    Procfile: `web: ${process.execPath} server.cjs\n`,
    "server.cjs": server(disk),
    "nines.yaml": [
      "health: {path: /healthz, interval: 250ms, timeout: 1s, failures: 2}",
      "boot_timeout: 10s",
      "grace: 1s",
      `scale: {web: ${web}}`,
      "",
    ].join("\n"),
  });
}
