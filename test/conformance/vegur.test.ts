/** Cases of Heroku's router that no other test of the mesh is about; ledger.ts has them all. */
import { expect, test } from "bun:test";
import { get, once, post, type Raw, Rig, startBackend, until } from "../../src/mesh/harness.ts";

const chunked = "Transfer-Encoding: chunked\r\n";

/** Sends its request; gives what came when the connection or the answer has ended. */
async function exchange(request: string, answer: string, then?: (connection: Raw) => void) {
  await using backend = await startBackend((connection) => {
    if (!connection.text.includes("\r\n\r\n") || connection.socket.bytesWritten > 0) return;
    connection.send(answer);
    then?.(connection);
  });
  await using rig = new Rig({ idleTimeoutMs: 1_500, firstByteTimeoutMs: 1_500 });
  rig.up(backend);
  const client = await rig.client();
  client.send(request);
  await until(() => client.isEnded || client.isClosed || rig.lines.length > 0, "the end of the exchange");
  await until(() => rig.lines.length > 0, "its line in the log");
  // What was written before the line may still be on its way: each turn reads what has come.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  return { text: client.text, error: client.error, line: rig.lines[0] ?? "", instance: backend.text };
}

const bodies = [
  ["counted", "Content-Length: 3\r\n\r\nabc"],
  ["chunked", `${chunked}\r\n3\r\nabc\r\n0\r\n\r\n`],
  ["ended by close", "\r\nabc"],
] as const;

for (const [kind, rest] of bodies) {
  for (const clientSays of ["", "Connection: close\r\n", "Connection: keep-alive\r\n"]) {
    for (const instanceSays of ["", "Connection: close\r\n", "Connection: keep-alive\r\n"]) {
      const names = [clientSays, instanceSays].map((line) => line.slice(12, -2) || "nothing");
      test(`a ${kind} body, client says ${names[0]}, instance says ${names[1]}`, async () => {
        const ends = kind === "ended by close" || instanceSays.includes("close");
        const { text, line } = await exchange(
          get("/", clientSays),
          `HTTP/1.1 200 OK\r\n${instanceSays}${rest}`,
          (connection) => void (ends && connection.socket.end()),
        );
        expect(line).toContain("status=200");
        expect(text).toContain("abc");
        const isClosed = clientSays.includes("close") || kind === "ended by close";
        expect(text.includes("Connection: close\r\n")).toBe(isClosed);
        expect(text.includes("Connection: keep-alive")).toBe(false);
      });
    }
  }
}

for (const [claim, answer] of [
  ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n"],
  ["GET with 204", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"],
  ["GET with 304", "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"],
  ["GET with a chunked 204", `HTTP/1.1 204 No Content\r\n${chunked}\r\n`],
  ["GET with a chunked 304", `HTTP/1.1 304 Not Modified\r\n${chunked}\r\n`],
] as const) {
  test(`an answer without a body that closes: ${claim}`, async () => {
    const method = claim.split(" ")[0]!;
    const { text, line } = await exchange(get().replace("GET", method), answer);
    expect(line).toMatch(/at=info .* bytes=0 /);
    expect(text).toEndWith("\r\n\r\n");
    expect(text.split("\r\n\r\n").length).toBe(2);
    if (claim.includes("204")) expect(text).not.toContain("Transfer-Encoding");
  });
}

test("bytes behind an answer that has no body are dropped with their connection", async () => {
  const { text } = await exchange(
    get().replace("GET", "HEAD"),
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
  );
  expect(text).not.toContain("abc");
});

for (const [kind, rest] of bodies.slice(0, 2)) {
  test(`a ${kind} answer that is interrupted is cut at the client, and H18`, async () => {
    const { error, line } = await exchange(
      get(),
      `HTTP/1.1 200 OK\r\n${rest.replace("Content-Length: 3", "Content-Length: 9").replace("0\r\n\r\n", "")}`,
      (connection) => void connection.socket.end(),
    );
    expect(line).toContain("code=H18");
    expect(error).toBe("ECONNRESET");
  });
}

test("a bad chunk after the first ones cuts the client", async () => {
  const { error, line, text } = await exchange(
    get(),
    `HTTP/1.1 200 OK\r\n${chunked}\r\n3\r\nabc\r\n`,
    (connection) => void setTimeout(() => connection.send("zz\r\n"), 20),
  );
  expect(line).toContain("code=H17");
  expect(text).not.toContain("zz");
  expect(error).toBe("ECONNRESET");
});

test("trailers pass both ways; one that would change the message's framing does not", async () => {
  const request = `${post("").replace("Content-Length: 0\r\n", chunked)}3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`;
  const answer = `HTTP/1.1 200 OK\r\n${chunked}\r\n3\r\nabc\r\n0\r\nX-Total: 2\r\n\r\n`;
  const { text, instance } = await exchange(request, answer);
  expect(instance).toEndWith("0\r\nX-Sum: 1\r\n\r\n");
  expect(text).toEndWith("0\r\nX-Total: 2\r\n\r\n");
  const bad = await exchange(request.replace("X-Sum", "Content-Length"), answer);
  expect(bad.text).toStartWith("HTTP/1.1 400 ");
});

for (const [claim, lines, version, expected] of [
  ["what is no expectation", "Expect: something\r\n", "1.1", "417"],
  ["an empty expectation", "Expect:\r\n", "1.1", "417"],
  ["two expectations", "Expect: 100-continue\r\nExpect: 100-continue\r\n", "1.1", "417"],
] as const) {
  test(`${claim} is answered ${expected} and reaches nobody`, async () => {
    const { text, instance } = await exchange(post("abc", lines).replace("1.1", version), "");
    expect(text).toStartWith(`HTTP/1.1 ${expected} `);
    expect(instance).toBe("");
  });
}

test("a client of HTTP/1.0 that expects 100 gets none, and its answer", async () => {
  const { text } = await exchange(
    post("", "Expect: 100-continue\r\n").replace("1.1", "1.0").replace("Length: 0", "Length: 3"),
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  );
  expect(text).not.toContain("100 Continue");
});

test("a client that was told to continue and does not is H28", async () => {
  await using backend = await startBackend(() => {});
  await using rig = new Rig({ idleTimeoutMs: 500 });
  rig.up(backend);
  const client = await rig.client();
  client.send(post("", "Expect: 100-continue\r\n").replace("Length: 0", "Length: 3"));
  await client.sees("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 ");
  await rig.logged("code=H28");
});

test("an upgrade may expect 100, and is answered 101", async () => {
  const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
  await using backend = await startBackend(once(switching));
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get("/", "Expect: 100-continue\r\nConnection: upgrade\r\nUpgrade: x\r\n"));
  await client.sees("101 Switching Protocols");
  client.socket.destroy();
});

test("a HEAD may be answered by an upgrade", async () => {
  await using backend = await startBackend(
    once("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello"),
  );
  await using rig = new Rig();
  rig.up(backend);
  const client = await rig.client();
  client.send(get("/", "Connection: upgrade\r\nUpgrade: x\r\n").replace("GET", "HEAD"));
  await client.sees("\r\n\r\nhello");
  client.socket.destroy();
});

test("Via is a chain: each side's own lines stay, the router's comes last", async () => {
  const { text, instance } = await exchange(
    get("/", "Via: 1.0 fred\r\n"),
    "HTTP/1.1 200 OK\r\nVia: 1.1 barney\r\nContent-Length: 0\r\n\r\n",
  );
  for (const [side, own] of [
    [instance, "Via: 1.0 fred"],
    [text, "Via: 1.1 barney"],
  ] as const) {
    expect(side).toContain(own);
    expect(side.lastIndexOf("Via: 1.1 nines")).toBeGreaterThan(side.indexOf(own));
  }
});

test("a chunked answer with an empty chunk among others ends at the empty chunk", async () => {
  const { text, line } = await exchange(
    get(),
    `HTTP/1.1 200 OK\r\n${chunked}\r\n3\r\nabc\r\n0\r\n\r\n3\r\ndef\r\n0\r\n\r\n`,
  );
  expect(text).not.toContain("def");
  expect(line).toContain("status=200");
});

test("a large body between two chunks of a slow instance arrives whole", async () => {
  const large = "x".repeat(3_000_000);
  const { text } = await exchange(
    get(),
    `HTTP/1.1 200 OK\r\n${chunked}\r\n1\r\na\r\n${large.length.toString(16)}\r\n${large.slice(0, 1_000_000)}`,
    (connection) => void setTimeout(() => connection.send(`${large.slice(1_000_000)}\r\n0\r\n\r\n`), 30),
  );
  expect(text.length).toBeGreaterThan(large.length);
  expect(text).toEndWith("x\r\n0\r\n\r\n");
});
