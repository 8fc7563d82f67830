/** The short forms of the fuzzers; the long ones are `npm run fuzz` and `bun scripts/fuzz-h11.ts 100000`. */
import { expect, test } from "bun:test";
import { fuzz } from "../../scripts/fuzz.ts";
import { findPython, fuzzH11 } from "../../scripts/fuzz-h11.ts";

const isLong = process.env.NINES_TEST === "long";
const python = findPython();

test.skipIf(python === undefined)(
  "a second reader, h11, finds the same messages in all that passes, either way",
  async () => {
    const { disagreements, forwarded, refused } = await fuzzH11(python!, isLong ? 100_000 : 4_000, 1);
    expect(disagreements).toEqual([]);
    expect(forwarded).toBeGreaterThan(1_000);
    expect(refused).toBeGreaterThan(1_000);
  },
  600_000,
);

test("whatever is cut, delayed, reset or garbled: nothing crashes, hangs, leaks or mixes", async () => {
  const report = await fuzz(isLong ? 600_000 : 6_000, 1);
  expect(report.wrong).toEqual([]);
  // One of an earlier test may have been closing when this one began.
  expect(report.socketsLeft).toBeLessThanOrEqual(0);
  expect(report.exchanges).toBeGreaterThan(1_000);
  expect(report.heapGrownBytes).toBeLessThan(16 * 1_048_576);
}, 660_000);
