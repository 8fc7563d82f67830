import { expect, test } from "bun:test";
import { WebSocket, WebSocketServer } from "ws";
import { get, ok, type Raw, Rig, startBackend, until } from "./harness.ts";

const upgrade = get("/chat", "Connection: Upgrade\r\nUpgrade: echo\r\n");
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/** An instance that keeps apart the head and what follows it. */
function startEcho() {
  const upgraded = new Set<Raw>();
  return startBackend((connection) => {
    if (upgraded.has(connection)) {
      connection.send(connection.text);
      connection.text = "";
      return;
    }
    const head = connection.text.indexOf("\r\n\r\n");
    if (head < 0) return;
    upgraded.add(connection);
    connection.send(switching + connection.text.slice(head + 4));
    connection.text = "";
  });
}
test("a WebSocket carries messages of any size both ways, and its end", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket) =>
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  await until(() => server.address() !== null, "the server");
  await using rig = new Rig();
  rig.up({ port: (server.address() as { port: number }).port } as never);
  const socket = new WebSocket(`ws://127.0.0.1:${rig.mesh.port}/`, { headers: { Host: "shop.localhost" } });
  const heard: Buffer[] = [];
  socket.on("message", (data: Buffer) => heard.push(data));
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  expect(rig.mesh.metrics()).toMatchObject({ tunnels: 1, inflight: 1 });
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 3_000_000];
  for (const size of sizes) socket.send(Buffer.alloc(size, "nines"));
  await until(() => heard.length === sizes.length, "all messages");
  for (const [index, size] of sizes.entries()) {
    expect(heard[index]!.equals(Buffer.alloc(size, "nines"))).toBe(true);
  }
  let closed = 0;
  socket.on("close", (code) => (closed = code));
  socket.close(4_000);
  await until(() => closed === 4_000, "the close");
  expect(await rig.logged("status=101")).toContain("at=info app=shop method=GET");
  expect(rig.mesh.metrics()).toMatchObject({ tunnels: 0, inflight: 0 });
  server.close();
});

test("bytes sent before the answer, and right behind it, arrive", async () => {
  await using backend = await startEcho();
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(`${upgrade}early`);
  await client.sees("\r\n\r\nearly");
  expect(client.text).toContain("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n");
  expect(client.text).toContain("Connection: upgrade\r\n");
  client.send("later");
  await client.sees("earlylater");
});

test("an instance that has tunnels gets its share of the requests", async () => {
  const counts = [0, 0];
  const start = (at: number) =>
    startBackend((connection) => {
      if (connection.text.startsWith("GET /chat ")) connection.send(switching);
      else {
        counts[at]!++;
        setTimeout(() => connection.send(ok), 20);
      }
      connection.text = "";
    });
  await using old = await start(0);
  await using fresh = await start(1);
  await using rig = new Rig();
  rig.up(old);
  for (let i = 0; i < 8; i++) {
    const client = await rig.client();
    client.send(upgrade);
    await client.sees("101 Switching");
  }
  rig.up(old, fresh);
  const inTurn = async () => {
    for (let i = 0; i < 20; i++) expect(await rig.ask(get())).toContain("200 OK");
  };
  await Promise.all([inTurn(), inTurn(), inTurn(), inTurn()]);
  expect(Math.min(...counts)).toBeGreaterThan(20);
});

test("the end of one direction leaves the other open", async () => {
  await using backend = await startBackend((connection) => {
    if (connection.socket.bytesWritten === 0) connection.send(switching);
  });
  backend.server.on("connection", (socket) => {
    socket.removeAllListeners("end");
    socket.on("end", () => setTimeout(() => socket.end("last words"), 20));
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(upgrade);
  await client.sees("101");
  client.socket.end("bye");
  await client.ends();
  expect(client.text).toEndWith("last words");
  expect(backend.text).toEndWith("bye");
  await rig.logged("status=101");
});

test("an upgrade that is declined is an ordinary answer, and the next request an ordinary request", async () => {
  await using backend = await startBackend((connection) => {
    if (!connection.text.endsWith("\r\n\r\n")) return;
    connection.send("HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nContent-Length: 2\r\n\r\nno");
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(upgrade);
  await client.sees("\r\n\r\nno");
  expect(client.text).toContain("Upgrade: other");
  client.send(get());
  await until(() => client.text.split("\r\n\r\nno").length === 3, "the second answer");
});

test("an instance that dies ends the tunnel at the client", async () => {
  await using backend = await startEcho();
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(upgrade);
  await client.sees("101");
  backend.connections[0]!.socket.resetAndDestroy();
  await client.ends();
  await rig.logged("code=H18");
  expect(rig.mesh.metrics()).toMatchObject({ tunnels: 0, inflight: 0 });
});

test("a client that dies ends the tunnel at the instance", async () => {
  await using backend = await startEcho();
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(upgrade);
  await client.sees("101");
  client.socket.resetAndDestroy();
  await until(() => backend.connections[0]!.isEnded || backend.connections[0]!.isClosed, "the end");
  await rig.logged("code=H27");
});

test("a tunnel without a byte for too long is cut, one that is used is not", async () => {
  await using backend = await startEcho();
  await using rig = new Rig({ idleTimeoutMs: 3_000 });
  rig.up(backend);
  const client = await rig.client();
  client.send(upgrade);
  await client.sees("101");
  for (let i = 1; i <= 10; i++) {
    client.send("x");
    await client.sees("x".repeat(i));
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
  expect(client.isEnded).toBe(false);
  await client.ends();
  await rig.logged("code=H15");
});

test("a side that does not read holds the other back, and gets all in the end", async () => {
  await using backend = await startEcho();
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client({ isKept: false });
  client.send(upgrade);
  await until(() => client.bytes > 0, "the switch");
  const head = client.bytes;
  client.socket.pause();
  const size = 48 * 1_048_576;
  client.socket.write(Buffer.alloc(size, "x"));
  let seen = -1;
  while (seen !== client.socket.writableLength) {
    seen = client.socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  client.socket.resume();
  await until(() => client.bytes === head + size, "all of it");
}, 240_000);
