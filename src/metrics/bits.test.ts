import { expect, test } from "bun:test";
import { BitReader, BitWriter } from "./bits.ts";
import { Chance } from "./chance.ts";

type Step = { readonly kind: "bits" | "rice"; readonly value: number; readonly size: number };

/** The code as it is defined, digit by digit. */
function toDigits({ kind, value, size }: Step): string {
  const digits = (number: number, count: number) =>
    count === 0 ? "" : number.toString(2).padStart(count, "0");
  if (kind === "bits") return digits(value, size);
  const quotient = Math.floor(value / 2 ** size);
  if (quotient >= 24) return "1".repeat(24) + digits(value, 53);
  return `${"1".repeat(quotient)}0${digits(value % 2 ** size, size)}`;
}

function makeSteps(chance: Chance): Step[] {
  return Array.from({ length: 2_000 }, (): Step => {
    const kind = chance.below(3) === 0 ? "bits" : "rice";
    const size = kind === "bits" ? chance.below(54) : chance.below(21);
    const most = kind === "bits" ? size : chance.below(10) === 0 ? 53 : Math.min(53, size + chance.below(6));
    return { kind, size, value: Math.floor(chance.next() * 2 ** most) };
  });
}

test("what is written is what the code says, bit by bit, and is read again", () => {
  const writer = new BitWriter();
  for (let seed = 1; seed <= 20; seed++) {
    const steps = makeSteps(new Chance(seed));
    writer.clear();
    for (const { kind, value, size } of steps) {
      if (kind === "bits") writer.bits(value, size);
      else writer.rice(value, size);
    }
    writer.end();
    const digits = steps.map(toDigits).join("");
    const bytes = digits.match(/.{1,8}/g)!.map((byte) => Number.parseInt(byte.padEnd(8, "0"), 2));
    expect([...writer.bytes.subarray(0, writer.length)]).toEqual(bytes);
    const reader = new BitReader(writer.bytes);
    const found = steps.map(({ kind, size }) => (kind === "bits" ? reader.bits(size) : reader.rice(size)));
    expect(found).toEqual(steps.map(({ value }) => value));
  }
});
