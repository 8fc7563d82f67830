import { expect, test } from "bun:test";
import { Pen } from "./pen.ts";

function written(write: (pen: Pen) => void): string {
  const pen = new Pen(Buffer.alloc(1_000));
  write(pen);
  return pen.bytes.toString("latin1", 0, pen.at);
}

for (const value of [
  0,
  1,
  9,
  10,
  99,
  100,
  65_535,
  999_999_999,
  1_000_000_000,
  1_732_460_247_123,
  2 ** 53 - 1,
]) {
  test(`the number ${value} is written as it is printed`, () => {
    expect(written((pen) => pen.number(value))).toBe(`${value}`);
  });
}

test("a number has as many digits as asked for", () => {
  expect(written((pen) => pen.digits(42, 6))).toBe("000042");
  expect(written((pen) => pen.digits(999_999, 6))).toBe("999999");
});

test("pieces stand one behind the other, whatever their length", () => {
  const pieces = ["", "a", "b".repeat(63), "c".repeat(64), "d".repeat(65), "\xe9\xff", "e".repeat(300)];
  const text = written((pen) => {
    for (const piece of pieces) pen.text(piece);
  });
  expect(text).toBe(pieces.join(""));
});
