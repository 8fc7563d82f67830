import { expect, test } from "bun:test";
import { Body } from "./body.ts";

/** How many of the text's bytes belong to a chunked body; -1 when malformed, undefined when it is not over. */
function chunked(text: string, step = text.length): number | undefined {
  const body = new Body();
  body.start("chunked", 0);
  const bytes = Buffer.from(text, "latin1");
  for (let from = 0; from < bytes.length; from += step) {
    const to = Math.min(bytes.length, from + step);
    const end = body.scan(bytes, from, to);
    if (end < 0) return -1;
    if (body.isDone) return end;
    expect(end).toBe(to);
  }
  return undefined;
}

const wellFormed: readonly [claim: string, text: string][] = [
  ["an empty body", "0\r\n\r\n"],
  ["two chunks", "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"],
  ["hexadecimal sizes in either case", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"],
  ["leading zeros", "003\r\nabc\r\n000\r\n\r\n"],
  ["an extension", '3;name=value;x="y z"\r\nabc\r\n0;last\r\n\r\n'],
  ["extensions with and without values", '3; a;b=c;d="\\"\\\\";e\r\nabc\r\n0\r\n\r\n'],
  ["trailers", "3\r\nabc\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"],
  ["payload that looks like a body's end", "5\r\n0\r\n\r\n\r\n0\r\n\r\n"],
];

const malformed: readonly [claim: string, text: string][] = [
  ["no size", "\r\nabc"],
  ["a size that is no number", "x\r\n"],
  ["a negative size", "-1\r\n"],
  ["a size with 0x", "0x3\r\nabc\r\n"],
  ["a space before the size", " 3\r\nabc\r\n"],
  ["a space behind the size", "3 \r\nabc\r\n"],
  ["a bare line feed behind the size", "3\nabc\r\n"],
  ["a bare carriage return behind the size", "3\rabc\r\n"],
  ["a size that no number holds", "1000000000000\r\n"],
  ["more payload than said", "3\r\nabcd\r\n"],
  ["less payload than said", "3\r\nab\r\n0\r\n\r\n"],
  ["a bare line feed behind the payload", "3\r\nabc\n0\r\n\r\n"],
  ["a bare line feed in an extension", "3;a\n\r\nabc\r\n"],
  ["an extension without end", `3;${"a".repeat(1_025)}\r\n`],
  ["a semicolon without an extension", "3;\r\nabc\r\n0\r\n\r\n"],
  ["an extension whose quotes do not end", '3;a="b\r\nabc\r\n0\r\n\r\n'],
  ["an extension with a quote in its middle", '3;a=b"c"\r\nabc\r\n0\r\n\r\n'],
  ["an extension with text behind its quotes", '3;a="b"c\r\nabc\r\n0\r\n\r\n'],
  ["an extension without a name", "3;=b\r\nabc\r\n0\r\n\r\n"],
  ["a folded trailer", "0\r\nX: y\r\n z\r\n\r\n"],
  ["a trailer without a colon", "0\r\nX\r\n\r\n"],
  ["a length in the trailers", "0\r\nContent-Length: 3\r\n\r\n"],
  ["trailers without end", `0\r\n${`X: ${"a".repeat(1_000)}\r\n`.repeat(17)}\r\n`],
  ["a bare carriage return at the end", "0\r\n\rX"],
];

for (const [claim, text] of wellFormed) {
  test(`${claim} ends where it ends, however it is cut`, () => {
    for (let step = 1; step <= text.length; step++) expect(chunked(text, step)).toBe(text.length);
    expect(chunked(`${text}GET / HTTP/1.1`)).toBe(text.length);
  });
}

for (const [claim, text] of malformed) {
  test(`${claim} is malformed, however it is cut`, () => {
    expect(chunked(text)).toBe(-1);
    expect(chunked(text, 1)).toBe(-1);
  });
}

test("the payload comes without its framing", () => {
  const body = new Body();
  body.start("chunked", 0);
  const payload: Buffer[] = [];
  const bytes = Buffer.from("3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n");
  body.scan(bytes, 0, 5, payload);
  body.scan(bytes, 5, bytes.length, payload);
  expect(Buffer.concat(payload).toString()).toBe("abcde");
});

test("a counted body ends after its bytes", () => {
  const body = new Body();
  body.start("counted", 5);
  expect(body.scan(Buffer.from("abc"), 0, 3)).toBe(3);
  expect(body.isDone).toBe(false);
  expect(body.scan(Buffer.from("defg"), 0, 4)).toBe(2);
  expect([body.isDone, body.passed]).toEqual([true, 5]);
});

test("a body that ends with the connection never ends by itself", () => {
  const body = new Body();
  body.start("until_close", 0);
  expect(body.scan(Buffer.from("abc"), 0, 3)).toBe(3);
  expect(body.isDone).toBe(false);
});
