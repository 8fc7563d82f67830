import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counter } from "./counter.ts";

const folder = mkdtempSync(join(tmpdir(), "nines-counter-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a counter grows over restarts, over a clock put back, and over a damaged file", () => {
  const path = join(folder, "counter.json");
  const first = new Counter(path, 1_000, 10);
  const given = Array.from({ length: 25 }, () => first.next());
  expect(given).toEqual(Array.from({ length: 25 }, (_, index) => 1_001 + index));
  expect(new Counter(path, 5, 10).next()).toBeGreaterThan(1_025);
  writeFileSync(path, "garbage");
  expect(new Counter(path, 2_000, 10).next()).toBe(2_001);
});
