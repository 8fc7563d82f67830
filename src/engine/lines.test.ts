import { expect, test } from "bun:test";
import { cutLines, lineBytesMax } from "./lines.ts";

test("lines over the limit are split, never within a character", () => {
  const text = "ä".repeat(lineBytesMax);
  const { lines, consumed } = cutLines(Buffer.from(`${text}\nend\n`), false);
  expect(lines.slice(0, -1).join("")).toBe(text);
  expect(lines.at(-1)).toBe("end");
  expect(lines.every((line) => Buffer.byteLength(line) <= lineBytesMax && !line.includes("�"))).toBe(true);
  expect(consumed).toBe(Buffer.byteLength(text) + 5);
});

test("control characters cannot forge a line, tabs and colours stay", () => {
  const { lines } = cutLines(Buffer.from("a\rb\0c\td\x1b[31me\r\n"), false);
  expect(lines).toEqual(["a�b�c\td\x1b[31me"]);
});

test("bytes that are no text do not end the reading", () => {
  const bytes = Buffer.from([0xff, 0xfe, 10, 0xc3, 10, 65, 10]);
  expect(cutLines(bytes, false)).toMatchObject({
    consumed: 7,
    lines: [expect.any(String), expect.any(String), "A"],
  });
});
