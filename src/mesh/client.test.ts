import { expect, test } from "bun:test";
import type { Socket } from "node:net";
import { always, get, ok, post, Rig, startBackend, until } from "./harness.ts";

test("a head that does not come to its end in time is 408, and is logged as the client's idleness", async () => {
  await using rig = new Rig({ headTimeoutMs: 1_000 });
  const client = await rig.client();
  client.send("GET / HTTP/1.1\r\nHost: shop");
  await client.sees("408 Request Timeout");
  await client.ends();
  expect(await rig.logged("code=H28")).toContain("at=warning");
});

test("bytes that drip in do not put off the end of a head", async () => {
  await using rig = new Rig({ headTimeoutMs: 1_000 });
  const client = await rig.client();
  client.send("GET / HTTP/1.1\r\n");
  const dripping = setInterval(() => client.socket.writable && client.send("X: y\r\n"), 10);
  await client.sees("408");
  clearInterval(dripping);
});

test("a connection that says nothing is closed without a word, before and between requests", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig({ headTimeoutMs: 1_500, clientIdleMs: 1_500 });
  rig.up(backend);
  const silent = await rig.client();
  await silent.ends();
  expect(silent.text).toBe("");
  const resting = await rig.client();
  resting.send(get());
  await resting.ends();
  expect(resting.text).toEndWith("\r\n\r\nok");
});

test("a body that stops coming is H28, and ends the request at the instance", async () => {
  await using backend = await startBackend(() => {});
  await using rig = new Rig({ idleTimeoutMs: 500 });
  rig.up(backend);
  const client = await rig.client();
  client.send(post("").replace("Content-Length: 0", "Content-Length: 10"));
  await client.sees("408");
  expect(await rig.logged("code=H28")).toContain("status=499");
  await until(() => backend.connections[0]!.isClosed, "the end at the instance");
});

test("a malformed chunk in the middle of a body is 400, and ends the request at the instance", async () => {
  await using backend = await startBackend(() => {});
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send("POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await until(() => backend.text.endsWith("3\r\nabc\r\n"), "the first chunk");
  client.send("zz\r\n");
  await client.sees("400 Bad Request");
  await until(() => backend.connections[0]!.isClosed, "the end at the instance");
  expect(backend.text).not.toContain("zz");
  await rig.logged('cause="malformed chunk"');
});

test("half a request and the end of the connection reach nobody", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.socket.end("GET / HTTP/1.1\r\nHost: shop.localhost\r\n");
  await client.ends();
  expect(client.text).toBe("");
  expect(backend.connections.length).toBe(0);
});

test("what a client pipelined before it closed its half is answered to the last", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.socket.end(get("/1") + get("/2") + get("/3"));
  await client.ends();
  expect(client.text.split("\r\n\r\nok").length).toBe(4);
  expect(client.text.split("Connection: close").length).toBe(2);
});

test("a client that leaves while its request waits is forgotten", async () => {
  await using rig = new Rig();
  const client = await rig.client();
  client.send(get());
  await until(() => rig.mesh.metrics().apps.shop?.waiting === 1, "one waiting");
  client.socket.resetAndDestroy();
  await until(() => rig.mesh.metrics().apps.shop?.waiting === 0, "none waiting");
  await rig.logged("code=H27");
});

test("Connection: close is obeyed", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get("/", "Connection: close\r\n"));
  await client.ends();
  expect(client.text).toContain("Connection: close\r\n\r\nok");
});

test("a refused client gets its answer even while it is still sending", async () => {
  await using rig = new Rig();
  rig.app({ maintenance: true });
  const client = await rig.client();
  client.send(post("").replace("Content-Length: 0", "Content-Length: 500000"));
  for (let i = 0; i < 8; i++) client.send(Buffer.alloc(50_000));
  await client.sees("</html>");
  expect(client.text).toContain("Connection: close\r\n");
  expect(client.error).toBe("");
});

test("a refused client that never stops sending is cut", async () => {
  await using rig = new Rig();
  const client = await rig.client();
  client.send("\0");
  await client.sees("400");
  const piece = Buffer.alloc(65_536);
  const more = () => {
    while (!client.isClosed && client.socket.write(piece));
    if (!client.isClosed) client.socket.once("drain", more);
  };
  more();
  await until(() => client.isClosed, "the cut");
});

test("the connection beyond the last is told so", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig({ connectionCount: 2, lingerMs: 50 });
  rig.up(backend);
  const first = await rig.client();
  const second = await rig.client();
  const third = await rig.client();
  await third.sees("503 Service Unavailable");
  await rig.logged("code=H22");
  first.send(get());
  await first.sees("ok");
  second.socket.destroy();
  await until(() => rig.mesh.metrics().connections === 1, "room");
  expect(await rig.ask(get())).toContain("200 OK");
});

test("what a client pipelines beyond a bound stays in its kernel", async () => {
  await using backend = await startBackend(() => {});
  await using rig = new Rig({ pipelineBytes: 10_000 });
  rig.up(backend);
  const client = await rig.client();
  client.send(get());
  await until(() => backend.connections.length === 1, "the first inside");
  const flood = get("/", `X: ${"a".repeat(4_000)}\r\n`);
  for (let i = 0; i < 5_000; i++) client.send(flood);
  let seen = -1;
  while (seen !== client.socket.writableLength) {
    seen = client.socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(seen).toBeGreaterThan(1_000_000);
  expect(rig.mesh.metrics().requests).toBe(1);
});

test("10,000 refused requests on one connection are 10,000 answers, in order", async () => {
  await using rig = new Rig();
  rig.app({ formationWeb: 0 });
  const client = await rig.client();
  for (let i = 0; i < 10_000; i++) client.send(get("/", `X-Request-Id: ${String(i).padStart(20, "0")}\r\n`));
  await until(() => client.text.split("</html>").length === 10_001, "all of them");
  const ids = [...client.text.matchAll(/X-Request-Id: (\d+)/g)].map(([, id]) => Number(id));
  expect(ids).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
});

for (const [how, leave] of [
  ["resets its connection", (socket: Socket) => socket.resetAndDestroy()],
  ["closes its connection", (socket: Socket) => socket.destroy()],
] as const) {
  test(`a client that ${how} before the first byte is noticed at once`, async () => {
    await using backend = await startBackend(() => {});
    await using rig = new Rig();
    rig.up(backend);
    for (const text of [get(), post("abc")]) {
      const client = await rig.client();
      client.send(text);
      await until(
        () => backend.connections.some(({ isClosed, bytes }) => !isClosed && bytes > 0),
        "it inside",
      );
      leave(client.socket);
      await until(() => backend.connections.every(({ isClosed }) => isClosed), "the end at the instance");
      await rig.logged("code=H27");
      rig.lines.length = 0;
    }
    expect(rig.mesh.metrics().inflight).toBe(0);
  });
}
