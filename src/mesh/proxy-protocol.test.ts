import { expect, test } from "bun:test";
import { always, get, ok, Rig, startBackend, until } from "./harness.ts";
import { parseProxied } from "./proxy-protocol.ts";

function toBinary(command: number, family: number, body: readonly number[]): string {
  return `\r\n\r\n\0\r\nQUIT\n${String.fromCharCode(0x20 | command, family, body.length >> 8, body.length & 255, ...body)}`;
}

const v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
const v6 = [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 9, ...Array(16).fill(1), 1, 1, 2, 2];

const wellFormed: readonly [claim: string, text: string, address: string][] = [
  ["version 1 over IPv4", "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", "192.0.2.7"],
  ["version 1 over IPv6", "PROXY TCP6 2001:db8::9 2001:db8::1 56324 443\r\n", "2001:db8::9"],
  ["version 1 of nobody known", "PROXY UNKNOWN ffff:f...f:ffff 1 2 3\r\n", ""],
  ["version 2 over IPv4", toBinary(1, 0x11, v4), "192.0.2.7"],
  ["version 2 over IPv4 with more behind", toBinary(1, 0x11, [...v4, 3, 0, 4, 1, 2, 3, 4]), "192.0.2.7"],
  ["version 2 over IPv6", toBinary(1, 0x21, v6), "2001:db8:0:0:0:0:0:9"],
  ["version 2 of the balancer itself", toBinary(0, 0, []), ""],
];

const malformed: readonly [claim: string, text: string][] = [
  ["a request", get()],
  ["a TLS hello", "\x16\x03\x01"],
  ["an address that is none", "PROXY TCP4 192.0.2 198.51.100.1 56324 443\r\n"],
  ["an address that forges a header", "PROXY TCP4 1.1.1.1\nX 198.51.100.1 56324 443\r\n"],
  ["a line without end", `PROXY TCP4 ${"1".repeat(200)}`],
  ["another version", "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"],
  ["an address too short", toBinary(1, 0x11, [1, 2, 3])],
  ["a length beyond use", "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"],
];

for (const [claim, text, address] of wellFormed) {
  test(`${claim} names ${address || "nobody"}, and is incomplete until its last byte`, () => {
    const bytes = Buffer.from(`${text}GET`, "latin1");
    expect(parseProxied(bytes, bytes.length)).toEqual({ end: text.length, address });
    for (let to = 0; to < text.length; to++) expect(parseProxied(bytes, to).end).toBe(0);
  });
}

for (const [claim, text] of malformed) {
  test(`${claim} is no header`, () => {
    const bytes = Buffer.from(text, "latin1");
    expect(parseProxied(bytes, bytes.length).end).toBe(-1);
  });
}

test("a balancer that is trusted speaks for its clients, in the same bytes as their first request or before", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig({}, undefined, undefined, undefined, { proxyProtocolFrom: ["127.0.0.0/8"] });
  rig.up(backend);
  const line = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
  for (const cut of [0, 1, 20, line.length, line.length + 10]) {
    const client = await rig.client();
    client.send((line + get()).slice(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    client.send((line + get("/", "X-Forwarded-For: 9.9.9.9\r\n")).slice(cut));
    await client.sees("\r\n\r\nok");
    client.socket.destroy();
  }
  expect(await rig.logged("status=200")).toContain('fwd="9.9.9.9, 192.0.2.7"');
});

test("a trusted balancer that does not speak it is cut; from elsewhere it is no request", async () => {
  await using rig = new Rig({}, undefined, undefined, undefined, { proxyProtocolFrom: ["127.0.0.0/8"] });
  const client = await rig.client();
  client.send(get());
  await until(() => client.isClosed, "the cut");
  expect(client.text).toBe("");
  await using other = new Rig({}, undefined, undefined, undefined, { proxyProtocolFrom: ["10.0.0.0/8"] });
  expect(await other.ask("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n")).toContain("400 Bad Request");
});

test("what a trusted proxy says of its client's connection is passed on; what others say is not", async () => {
  await using backend = await startBackend((connection) => {
    if (connection.text.endsWith("\r\n\r\n")) connection.send(ok);
  });
  const lines = "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\nX-Forwarded-For: 9.9.9.9\r\n";
  for (const [from, proto] of [
    ["127.0.0.1/32", "https"],
    ["10.0.0.0/8", "http"],
  ] as const) {
    await using rig = new Rig({}, undefined, undefined, undefined, { trustForwardedFrom: [from] });
    rig.up(backend);
    await rig.ask(get("/", lines));
    const { text } = backend.connections.at(-1)!;
    expect(text).toContain(`X-Forwarded-Proto: ${proto}\r\n`);
    expect(text.includes("X-Forwarded-Port: 8443\r\n")).toBe(proto === "https");
    expect(text.split("X-Forwarded-Proto").length).toBe(2);
    // What cannot be one is replaced, whoever says it.
    await rig.ask(get("/", "X-Forwarded-Proto: gopher\r\nX-Forwarded-Port: x\r\n"));
    expect(backend.connections.at(-1)!.text).not.toContain("gopher");
  }
});
