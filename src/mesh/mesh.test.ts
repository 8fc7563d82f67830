import { expect, test } from "bun:test";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { always, get, ok, once, post, Rig, startBackend, until } from "./harness.ts";

test("a request arrives with the router's lines, and the answer leaves with its own", async () => {
  await using backend = await startBackend(once(ok));
  await using rig = new Rig();
  rig.up(backend);
  const answer = await rig.ask(get("/a?b=c", "X-Forwarded-For: 9.9.9.9\r\nAccept: */*\r\n"));
  const id = /X-Request-Id: (\S+)/.exec(answer)?.[1] ?? "";
  expect(id.length).toBe(36);
  expect(answer).toBe(
    `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 nines\r\nX-Request-Id: ${id}\r\n\r\nok`,
  );
  const start = /X-Request-Start: (\d+)/.exec(backend.text)?.[1];
  expect(backend.text).toBe(
    `GET /a?b=c HTTP/1.1\r\nHost: shop.localhost\r\nAccept: */*\r\nX-Request-Id: ${id}\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: ${rig.mesh.port}\r\nX-Request-Start: ${start}\r\nVia: 1.1 nines\r\n\r\n`,
  );
  expect(await rig.logged("path=")).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 nines\[router\]: at=info app=shop method=GET path="\/a\?b=c" host=shop\.localhost request_id=\S{36} fwd="9\.9\.9\.9, 127\.0\.0\.1" instance=web\.1 connect=\d+ms service=\d+ms status=200 bytes=2 protocol=http$/,
  );
});

test("a good request id is kept, a bad one replaced", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const good = "abcdefghij0123456789";
  expect(await rig.ask(get("/", `X-Request-Id: ${good}\r\n`))).toContain(`X-Request-Id: ${good}\r\n`);
  for (const bad of ["short", `${good}"`, `${good} x`, "a".repeat(201)]) {
    expect(await rig.ask(get("/", `X-Request-Id: ${bad}\r\n`))).not.toContain(bad);
  }
});

test("an app's own errors pass untouched", async () => {
  await using backend = await startBackend(always("HTTP/1.1 503 Busy Bees\r\nContent-Length: 4\r\n\r\nbzzz"));
  await using rig = new Rig();
  rig.up(backend);
  const answer = await rig.ask(get());
  expect(answer).toStartWith("HTTP/1.1 503 Busy Bees\r\n");
  expect(answer).toEndWith("bzzz");
  expect(await rig.logged("status=503")).toContain("at=info");
});

test("one connection serves many requests on either side", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  for (let i = 1; i <= 20; i++) {
    client.send(get(`/${i}`));
    await until(() => client.text.split("\r\n\r\nok").length === i + 1, `answer ${i}`);
  }
  expect(backend.connections.length).toBe(1);
  expect(rig.mesh.metrics()).toMatchObject({ requests: 20, connections: 1, inflight: 0 });
});

test("pipelined requests are answered in order, also when the first is the slowest", async () => {
  await using backend = await startBackend((connection) => {
    const path = /GET \/(\d+)/.exec(connection.text)?.[1];
    if (path === undefined || !connection.text.includes("\r\n\r\n")) return;
    connection.text = "";
    setTimeout(
      () => connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${path}`),
      path === "1" ? 40 : 0,
    );
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get("/1") + get("/2") + get("/3") + get("/4", "Connection: close\r\n"));
  await client.ends();
  expect(client.text.match(/\r\n\r\n(\d)/g)?.join("")).toBe("\r\n\r\n1\r\n\r\n2\r\n\r\n3\r\n\r\n4");
});

test("a request that comes byte by byte is the same request, with a body of either kind", async () => {
  await using backend = await startBackend((connection) => {
    if (connection.text.endsWith("\r\n0\r\n\r\n") || connection.text.endsWith("\r\n\r\nabc")) {
      connection.text = "";
      connection.send(ok);
    }
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  const text = `${post("abc")}POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
  for (const byte of text) {
    client.send(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => client.text.split("\r\n\r\nok").length === 3, "two answers");
});

test("an answer that comes byte by byte is the same answer", async () => {
  const text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n";
  await using backend = await startBackend(async (connection) => {
    for (const byte of text) {
      connection.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  await using rig = new Rig();
  rig.up(backend);
  const answer = await rig.ask(get(), (seen) => seen.endsWith("T: 1\r\n\r\n"));
  expect(answer).toContain("\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n");
  expect(answer).toContain("X: y");
});

test("bodies of any size and kind arrive whole, both ways, through node's own client and server", async () => {
  const server = http.createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    if (request.url === "/counted") response.setHeader("Content-Length", body.length);
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using rig = new Rig();
  rig.up({ port: (server.address() as AddressInfo).port } as never);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const echo = (size: number, path: string, isCounted: boolean) =>
    new Promise<void>((resolve, reject) => {
      const body = Buffer.alloc(size, "nines");
      const request = http.request(
        { port: rig.mesh.port, method: "POST", path, agent, headers: { Host: "shop.localhost" } },
        (response) => {
          const parts: Buffer[] = [];
          response.on("data", (part: Buffer) => parts.push(part));
          response.on("end", () => {
            expect(Buffer.concat(parts).equals(body)).toBe(true);
            resolve();
          });
          response.on("error", reject);
        },
      );
      request.on("error", reject);
      if (isCounted) request.setHeader("Content-Length", size);
      if (size > 100_000) {
        request.write(body.subarray(0, 70_000));
        request.end(body.subarray(70_000));
      } else request.end(body);
    });
  const sizes = [0, 1, 1_000, 16_384, 16_385, 65_536, 300_000, 5_000_000];
  await Promise.all(
    sizes.flatMap((size) => [
      echo(size, "/counted", true),
      echo(size, "/chunked", true),
      echo(size, "/counted", false),
      echo(size, "/chunked", false),
    ]),
  );
  agent.destroy();
  server.close();
  server.closeAllConnections();
  expect(rig.mesh.metrics().statuses[2]).toBe(4 * sizes.length);
});

test("answers without a body end with their head: HEAD, 204 and 304", async () => {
  const answers = [
    "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
    ok,
  ];
  let count = 0;
  await using backend = await startBackend((connection) => {
    if (connection.text.endsWith("\r\n\r\n")) connection.send(answers[count++]!);
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  const head = get().replace("GET", "HEAD");
  client.send(head + head + get() + get() + get());
  await client.sees("\r\n\r\nok");
  const heads = client.text.split("\r\n\r\n");
  expect(heads.length).toBe(6);
  expect(heads[0]).toContain("Content-Length: 1000");
  expect(heads[1]).toContain("Transfer-Encoding: chunked");
  expect(heads[2]).not.toContain("Content-Length");
  expect(heads[3]).toContain("Content-Length: 1000");
  expect(backend.connections.length).toBe(1);
});

test("a client of HTTP/1.0 gets no chunks, no interim answers, and the end of the connection", async () => {
  await using backend = await startBackend(
    once(
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nA: b\r\n\r\n",
    ),
  );
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send("GET / HTTP/1.0\r\nHost: shop.localhost\r\nConnection: keep-alive\r\n\r\n");
  await client.ends();
  expect(client.text).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(client.text).toContain("Connection: close\r\n");
  expect(client.text).not.toContain("chunked");
  expect(client.text).toEndWith("\r\n\r\nabcdef");
});

test("a client of HTTP/1.0 may keep its connection for counted answers", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send("GET / HTTP/1.0\r\nHost: shop.localhost\r\nConnection: keep-alive\r\n\r\n");
  await client.sees("Connection: keep-alive\r\n\r\nok");
  client.send("GET / HTTP/1.0\r\nHost: shop.localhost\r\n\r\n");
  await client.ends();
  expect(client.text).toEndWith("Connection: close\r\n\r\nok");
});

test("an answer that ends with its connection passes, and ends the client's", async () => {
  await using backend = await startBackend((connection) => {
    connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
    setTimeout(() => {
      connection.send("def");
      connection.socket.end();
    }, 20);
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get());
  await client.ends();
  expect(client.text).toContain("Connection: close\r\n\r\nabcdef");
  expect(client.error).toBe("");
  expect(await rig.logged("status=200")).toContain("bytes=6");
});

test("interim answers pass, and 100 is the router's to say", async () => {
  await using backend = await startBackend((connection) => {
    if (connection.text.endsWith("\r\n\r\nabc")) {
      connection.send(
        `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok}`,
      );
    }
  });
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(post("", "Expect: 100-continue\r\n").replace("Content-Length: 0", "Content-Length: 3"));
  await client.sees("HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  await client.sees("\r\n\r\nok");
  expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual([
    "HTTP/1.1 100",
    "HTTP/1.1 103",
    "HTTP/1.1 102",
    "HTTP/1.1 200",
  ]);
  expect(client.text).toContain("Link: </a>");
  expect(backend.text).not.toContain("Expect");
});

test("hosts are told apart by name alone, and an unknown one is nobody's", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  rig.app({ hosts: ["shop.example.com", "*.wild.example"] });
  for (const host of ["SHOP.localhost:99", "shop.example.com.", "a.wild.example"]) {
    expect(await rig.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toContain("200 OK");
  }
  const answer = await rig.ask("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n");
  expect(answer).toStartWith("HTTP/1.1 404 Not Found\r\n");
  expect(answer).toContain("No such app");
  expect(await rig.logged("status=404")).toContain("app= method=GET");
  rig.mesh.setApp("shop", undefined, 9);
  expect(await rig.ask(get())).toContain("HTTP/1.1 404 ");
});

test("refusals have Heroku's codes: maintenance, blank app, no web processes, CONNECT, Expect", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  rig.app({ maintenance: true, hasRelease: false });
  expect(await rig.ask(get())).toMatch(/^HTTP\/1.1 503 .*Retry-After: 60.*maintenance/s);
  expect(await rig.logged("code=H80")).toContain(
    'at=info app=shop code=H80 desc="Maintenance mode" method=GET',
  );
  rig.app({ hasRelease: false });
  expect(await rig.ask(get())).toContain("HTTP/1.1 503 ");
  expect(await rig.logged("code=H81")).toContain("instance= connect= service=");
  rig.app({ formationWeb: 0 });
  await rig.ask(get());
  expect(await rig.logged("code=H14")).toContain("at=error");
  rig.app({});
  expect(await rig.ask("CONNECT a:1 HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")).toContain("HTTP/1.1 405 ");
  expect(await rig.ask(post("a", "Expect: 200-maybe\r\n"))).toContain("417 Expectation Failed");
  expect(await rig.logged("status=417")).toContain(
    'code=H26 desc="Request Error" cause="unsupported expect"',
  );
  expect(backend.connections.length).toBe(0);
});

test("a malformed request is answered 400, closed, and reaches nobody; nor does what follows it", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  for (const text of [
    "GET / HTTP/1.1\r\nHost: shop.localhost\r\nHost: shop.localhost\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
    "GET / HTTP/1.1\nHost: shop.localhost\n\n",
  ]) {
    const client = await rig.client();
    client.send(text + get("/smuggled"));
    await client.ends();
    expect(client.text).toStartWith("HTTP/1.1 400 Bad Request\r\n");
    expect(client.text).toContain("Connection: close\r\n");
  }
  expect(await rig.logged("duplicate Host")).toContain('at=error app= code=H26 desc="Request Error" cause=');
  expect(backend.connections.length).toBe(0);
});

test("what a client writes cannot forge a log line", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  await rig.ask(get('/"status=200\\', 'X-Forwarded-For: 1.1.1.1" status=200 \xff\r\n'));
  const line = await rig.logged("status=200\\\\");
  expect(line).toContain('path="/\\"status=200\\\\" host=');
  expect(line).toContain('fwd="1.1.1.1\\" status=200 \\xff, 127.0.0.1" instance=');
});
