import { expect, test } from "bun:test";
import { INCOMPLETE, toReason } from "./fault.ts";
import { defaultMeshLimits } from "./limits.ts";
import { Pen } from "./pen.ts";
import { writeResponse } from "./render.ts";
import { ResponseHead } from "./response-head.ts";
import { toBlame } from "./violation.ts";

const head = new ResponseHead(defaultMeshLimits);

function parse(text: string): number {
  const bytes = Buffer.from(text, "latin1");
  return head.parse(bytes, 0, bytes.length);
}

function forwarded(text: string): string {
  expect(parse(text)).toBeGreaterThan(0);
  return written();
}

function written(): string {
  const pen = new Pen(Buffer.alloc(600_000));
  writeResponse(pen, head);
  pen.text("\r\n");
  return pen.bytes.toString("latin1", 0, pen.at);
}

const malformed: readonly [claim: string, text: string, code: string][] = [
  ["no HTTP at all", "SSH-2.0-OpenSSH_9\r\n", "H17"],
  ["HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "H17"],
  ["a version without its dot", "HTTP/1\x0e1 200 OK\r\n\r\n", "H17"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "H17"],
  ["a status of letters", "HTTP/1.1 abc OK\r\n\r\n", "H17"],
  ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n", "H17"],
  ["a bare line feed", "HTTP/1.1 200 OK\nX: y\r\n\r\n", "H17"],
  ["a folded header", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "H17"],
  ["a space before the colon", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "H17"],
  ["a zero byte", "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", "H17"],
  ["differing lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "H25"],
  ["a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "H25"],
  [
    "a length and chunks",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "H25",
  ],
  ["another encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "H17"],
  ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "H17"],
  ["a cookie of more than 8 KiB", `HTTP/1.1 200 OK\r\nSet-Cookie: ${"a".repeat(8_192)}\r\n\r\n`, "H25"],
  ["a status line of more than 8 KiB", `HTTP/1.1 200 ${"a".repeat(8_192)}\r\n\r\n`, "H25"],
  [
    "a head of more than 512 KiB",
    `HTTP/1.1 200 OK\r\n${`X: ${"a".repeat(60_000)}\r\n`.repeat(9)}\r\n`,
    "H25",
  ],
];

for (const [claim, text, code] of malformed) {
  test(`${claim} is refused with ${code}`, () => {
    const fault = parse(text);
    expect(fault, toReason(fault)).toBeLessThan(0);
    expect(toBlame(fault)).toBe(code as "H17");
  });
}

test("a missing reason is taken, with or without its space, and written as it should be", () => {
  expect(forwarded("HTTP/1.1 200\r\nA: b\r\n\r\n")).toBe("HTTP/1.1 200 \r\nA: b\r\n\r\n");
  expect(forwarded("HTTP/1.1 200 \r\n\r\n")).toBe("HTTP/1.1 200 \r\n\r\n");
});

test("HTTP/1.0 from an instance is HTTP/1.1 to the client", () => {
  expect(forwarded("HTTP/1.0 204 No Content\r\n\r\n")).toBe("HTTP/1.1 204 No Content\r\n\r\n");
  expect(head.minor).toBe(0);
});

test("a head cut anywhere is incomplete, never wrong", () => {
  const text = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nKeep-Alive: timeout=5\r\nX: y\r\n\r\n";
  for (let length = 0; length < text.length; length++) expect(parse(text.slice(0, length))).toBe(INCOMPLETE);
  expect(parse(text)).toBe(text.length);
  expect([head.status, head.contentLength, head.keepAliveSeconds]).toEqual([404, 3, 5]);
});

test("hop-by-hop headers, and those that Connection names, stay here; order and case do not change", () => {
  expect(
    forwarded(
      "HTTP/1.1 200 OK\r\nB: 1\r\nConnection: close, x\r\na: 2\r\nX: 3\r\nUpgrade: h2c\r\nB: 4\r\n\r\n",
    ),
  ).toBe("HTTP/1.1 200 OK\r\nB: 1\r\na: 2\r\nB: 4\r\n\r\n");
});

test("a 204 loses the length that it may not have", () => {
  parse("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: y\r\n\r\n");
  head.cutBody();
  expect(written()).toBe("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n");
});
