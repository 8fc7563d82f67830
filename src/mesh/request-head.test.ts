import { expect, test } from "bun:test";
import { INCOMPLETE, toReason } from "./fault.ts";
import { defaultMeshLimits } from "./limits.ts";
import { Pen } from "./pen.ts";
import { writeRequest } from "./render.ts";
import { RequestHead } from "./request-head.ts";

const head = new RequestHead(defaultMeshLimits);

function parse(text: string): number {
  const bytes = Buffer.from(text, "latin1");
  return head.parse(bytes, 0, bytes.length);
}

/** What an instance would get. */
function forwarded(text: string): string {
  expect(parse(text)).toBeGreaterThan(0);
  const pen = new Pen(Buffer.alloc(100_000));
  writeRequest(pen, head);
  pen.text("Via: 1.1 nines\r\n\r\n");
  return pen.bytes.toString("latin1", 0, pen.at);
}

const wellFormed: readonly [claim: string, text: string][] = [
  ["a plain one", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["one with a port", "GET / HTTP/1.1\r\nHost: a.b:8080\r\n\r\n"],
  ["an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"],
  ["an unknown method", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a lower-case method, which is another method", "get / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an absolute target of the same host", "GET http://A/x?y HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a header without a value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n"],
  ["a value with bytes beyond ASCII", "GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n"],
  ["tabs around a value", "GET / HTTP/1.1\r\nHost:\ta\t\r\n\r\n"],
  ["twice the same length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"],
  ["HTTP/1.0 with a host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"],
  ["an empty line before it", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["quotes and brackets in the target", 'GET /a"{}|\\^`<> HTTP/1.1\r\nHost: a\r\n\r\n'],
];

const malformed: readonly [claim: string, text: string, reason: string][] = [
  ["two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  ["two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "malformed request line"],
  ["a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "malformed request line"],
  ["no version", "GET /\r\nHost: a\r\n\r\n", "malformed target"],
  ["HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "unknown HTTP version"],
  ["HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "unknown HTTP version"],
  ["HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unknown HTTP version"],
  ["http in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", "malformed request line"],
  ["a bare line feed after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "malformed request line"],
  ["a bare line feed after a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "malformed header line"],
  [
    "a bare carriage return in a value",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
    "malformed header line",
  ],
  ["a zero byte in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\0\r\n\r\n", "malformed header line"],
  ["a delete byte in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\x7f\r\n\r\n", "malformed header line"],
  ["a folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", "malformed header line"],
  ["a fold right after the request line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "malformed header line"],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "malformed header line"],
  ["a header without a name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", "malformed header line"],
  ["a header without a colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "malformed header line"],
  ["a header name beyond ASCII", "GET / HTTP/1.1\r\nHost: a\r\n\xe9: x\r\n\r\n", "malformed header line"],
  ["no host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "missing Host header"],
  ["no host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "missing Host header"],
  ["an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "malformed Host header"],
  ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "duplicate Host header"],
  ["a host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "malformed Host header"],
  ["a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "malformed Host header"],
  ["a list of hosts", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "malformed Host header"],
  ["a host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "malformed Host header"],
  ["a host with a bad port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", "malformed Host header"],
  ["a host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "malformed Host header"],
  ["an open bracket in the host", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "malformed Host header"],
  ["another host in the target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "Host differs from the target"],
  ["user information in the target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  ["another scheme in the target", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  ["GET *", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  ["a relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  ["a fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  ["a target beyond ASCII", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  ["a control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "malformed target"],
  [
    "differing lengths",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    "differing Content-Length",
  ],
  [
    "a list of lengths",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n",
    "malformed Content-Length",
  ],
  ["a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", "malformed Content-Length"],
  [
    "a hexadecimal length",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n",
    "malformed Content-Length",
  ],
  ["an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "malformed Content-Length"],
  [
    "a length that no number holds",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999\r\n\r\n",
    "malformed Content-Length",
  ],
  [
    "a length and chunks",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "both Transfer-Encoding and Content-Length",
  ],
  [
    "chunks and a length",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "both Transfer-Encoding and Content-Length",
  ],
  [
    "another encoding",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "unsupported Transfer-Encoding",
  ],
  [
    "two encodings",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "unsupported Transfer-Encoding",
  ],
  [
    "an empty encoding",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
    "unsupported Transfer-Encoding",
  ],
  [
    "chunked twice",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "unsupported Transfer-Encoding",
  ],
  [
    "a quoted encoding",
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "chunked"\r\n\r\n',
    "unsupported Transfer-Encoding",
  ],
  [
    "an encoding behind a vertical tab",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
    "malformed header line",
  ],
  [
    "chunks in HTTP/1.0",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding in HTTP/1.0",
  ],
  [
    "Connection that names Host",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n",
    "malformed Connection header",
  ],
  [
    "Connection that names the length",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: content-length\r\n\r\n",
    "malformed Connection header",
  ],
  ["a method of 128 bytes", `${"A".repeat(128)} / HTTP/1.1\r\nHost: a\r\n\r\n`, "method too long"],
  [
    "a request line of 8,193 bytes",
    `GET /${"a".repeat(8_193 - 14)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    "request line too long",
  ],
  [
    "a header line of 8,193 bytes",
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(8_190)}\r\n\r\n`,
    "header line too long",
  ],
  ["1,001 headers", `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(1_000)}\r\n`, "too many headers"],
  [
    "a head of more than 64 KiB",
    `GET / HTTP/1.1\r\nHost: a\r\n${`X: ${"a".repeat(8_000)}\r\n`.repeat(9)}\r\n`,
    "head too long",
  ],
];

for (const [claim, text] of wellFormed) {
  test(`${claim} is taken`, () => {
    expect(parse(text)).toBe(text.length);
  });
}

for (const [claim, text, reason] of malformed) {
  test(`${claim} is refused`, () => {
    expect(toReason(parse(text))).toBe(reason);
  });
}

test("a head at every limit is taken", () => {
  expect(parse(`GET /${"a".repeat(8_192 - 14)} HTTP/1.1\r\nHost: a\r\n\r\n`)).toBeGreaterThan(0);
  expect(parse(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(8_189)}\r\n\r\n`)).toBeGreaterThan(0);
  expect(parse(`GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(999)}\r\n`)).toBeGreaterThan(0);
  expect(parse(`${"A".repeat(127)} / HTTP/1.1\r\nHost: a\r\n\r\n`)).toBeGreaterThan(0);
});

test("a head cut anywhere is incomplete, never wrong", () => {
  const text =
    "POST http://a.b:80/x?y=1 HTTP/1.1\r\nHost: a.b:80\r\nContent-Length: 3\r\nConnection: keep-alive, X-A\r\nX-A: 1\r\nX-B:  2 \r\n\r\n";
  for (let length = 0; length < text.length; length++) expect(parse(text.slice(0, length))).toBe(INCOMPLETE);
  expect(parse(text)).toBe(text.length);
});

test("hop-by-hop headers, and those that Connection names, stay here", () => {
  const text = forwarded(
    "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: close, x-a, X-C\r\nKeep-Alive: 5\r\nX-B: 2\r\nTE: trailers\r\nProxy-Connection: x\r\nX-C: 3\r\n\r\n",
  );
  expect(text).toBe("GET / HTTP/1.1\r\nHost: a\r\nX-B: 2\r\nVia: 1.1 nines\r\n\r\n");
  expect(head.isClose).toBe(true);
});

test("what the router vouches for is not taken from the client, in any spelling", () => {
  const text = forwarded(
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Port: 1\r\nX-Request-Start: 1\r\nContent_Length: 5\r\nMy_Own: 1\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n",
  );
  expect(text).toBe("GET / HTTP/1.1\r\nHost: a\r\nMy_Own: 1\r\nVia: 1.1 nines\r\n\r\n");
  expect(head.forwardedFor).toBe("1.1.1.1, 2.2.2.2");
});

test("case and order of the other headers are kept", () => {
  expect(forwarded("GET /x HTTP/1.1\r\nhOsT: a\r\nB: 1\r\naCCept: */*\r\nB: 2\r\n\r\n")).toBe(
    "GET /x HTTP/1.1\r\nhOsT: a\r\nB: 1\r\naCCept: */*\r\nB: 2\r\nVia: 1.1 nines\r\n\r\n",
  );
});

test("an absolute target becomes a path", () => {
  expect(forwarded("GET http://a:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n")).toStartWith(
    "GET /x?y HTTP/1.1\r\n",
  );
  expect(forwarded("GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n")).toStartWith("GET /?y HTTP/1.1\r\n");
  expect(forwarded("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n")).toStartWith("OPTIONS * HTTP/1.1\r\n");
});

test("an instance hears HTTP/1.1 from a client of HTTP/1.0", () => {
  expect(forwarded("GET / HTTP/1.0\r\nHost: a\r\n\r\n")).toStartWith("GET / HTTP/1.1\r\n");
});

test("lengths and encodings that could be read differently are written anew", () => {
  forwarded("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t007\r\n\r\n");
  expect([head.contentLength, head.isLengthCut]).toEqual([7, true]);
  expect(forwarded("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tChunked \r\n\r\n")).not.toContain(
    "hunked",
  );
  expect(head.isChunked).toBe(true);
});

test("an upgrade passes; one to HTTP/2, with a body, or in HTTP/1.0 is an ordinary request", () => {
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  expect(forwarded(`GET / HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`)).toContain("Upgrade: websocket\r\n");
  expect(head.isUpgrade).toBe(true);
  for (const text of [
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n\r\n",
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n${upgrade}\r\n`,
    `GET / HTTP/1.0\r\nHost: a\r\n${upgrade}\r\n`,
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
  ]) {
    expect(forwarded(text).toLowerCase()).not.toContain("upgrade");
    expect(head.isUpgrade).toBe(false);
  }
});
