/** What a target may do to a relay, over real sockets. */
import { expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { createHttpSender, type Outcome } from "../../src/buffer/buffer.ts";
import { systemClock } from "../../src/std/clock.ts";
import { parseTarget } from "../../src/wire/records.ts";

const sender = createHttpSender({
  fetch: (url, init) => fetch(url, init),
  clock: systemClock,
  routers: () => "http://127.0.0.1:1",
});
const write = {
  id: 1,
  key: undefined,
  idempotencyKey: "one",
  headers: {},
  body: Buffer.from("hello"),
  attempts: 0,
  ageMs: 0,
  waitMs: 0,
};

/** Sends one write to a raw TCP target that does with its connection what it is told. */
async function send(target: (socket: Socket) => void, timeoutMs: number): Promise<Outcome> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    target(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const record = parseTarget({ url: `http://127.0.0.1:${port}/`, timeoutMs });
  const signal = new AbortController().signal;
  const outcome = await sender({ target: "pay", record, write, token: 1 }, signal);
  server.close();
  return outcome;
}
const says = (text: string) => (socket: Socket) => socket.once("data", () => socket.write(text));

const cases: readonly (readonly [string, (socket: Socket) => void, Outcome["kind"], RegExp?])[] = [
  ["answers 200 with garbage", says("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\0\xff{]"), "delivered"],
  [
    "redirects",
    says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
    "refused",
    /302/,
  ],
  [
    "hangs after the head",
    says("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"),
    "down",
    /no answer in 300 ms/,
  ],
  ["hangs before it", () => {}, "down", /no answer in 300 ms/],
  ["accepts and resets", (socket) => socket.resetAndDestroy(), "down"],
  ["closes without a word", (socket) => socket.once("data", () => socket.end()), "down"],
  [
    "dies in the middle of its answer",
    (socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")),
    "down",
  ],
  ["does not speak HTTP", says("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "down"],
  [
    "asks for patience",
    says("HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"),
    "down",
    /429/,
  ],
];
for (const [name, target, kind, reason] of cases) {
  test(`a target that ${name}: ${kind}`, async () => {
    // Whoever is to answer has the time for it.
    const outcome = await send(target, name.startsWith("hangs") ? 300 : 10_000);
    expect(outcome.kind).toBe(kind);
    if (reason !== undefined) expect((outcome as { reason: string }).reason).toMatch(reason);
    if (name === "asks for patience") expect(outcome).toMatchObject({ retryAfterMs: 7_000 });
  });
}

test("an answer without an end is read no further than needed", async () => {
  const endless = (socket: Socket) =>
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
      const more = () => !socket.destroyed && socket.write(chunk, () => setImmediate(more));
      more();
    });
  expect(await send(endless, 30_000)).toEqual({ kind: "delivered" });
});

test("nobody listens: down, and at once", async () => {
  const record = parseTarget({ url: "http://127.0.0.1:1/" });
  expect(
    await sender({ target: "pay", record, write, token: 1 }, new AbortController().signal),
  ).toMatchObject({
    kind: "down",
  });
});

test("records that no write may go to are refused, with the reason", () => {
  const bad = [
    { url: "ftp://x" },
    { url: "app:Shop/x" },
    { url: "http://" },
    {},
    { url: "http://x", timeoutMs: 0 },
  ];
  for (const record of bad) expect(() => parseTarget(record)).toThrow(/target/);
  expect(parseTarget({ url: "app:shop/hook" })).toMatchObject({ url: "app:shop/hook", concurrencyMax: 32 });
});
