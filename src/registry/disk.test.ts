import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCopy, saveCopy } from "./disk.ts";
import { Mirror } from "./mirror.ts";

const dir = mkdtempSync(join(tmpdir(), "nines-disk-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const mirror = new Mirror();
mirror.apply(7, [{ path: "/a", value: { ä: [1] } }]);
const at = new Date("2030-01-01T00:00:00Z");
const save = (file: string) =>
  saveCopy(file, { revision: 7, entries: mirror.entries() }, mirror.checksum, at);

test("what was saved is loaded, with the time at which it was current", () => {
  const file = join(dir, "deep", "down", "copy.json");
  save(file);
  const copy = loadCopy(file);
  expect(copy).toEqual({
    kind: "copy",
    snapshot: { revision: 7, entries: mirror.entries() },
    currentAt: at.getTime(),
  });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("no file is no copy", () => {
  expect(loadCopy(join(dir, "none"))).toEqual({ kind: "missing" });
});

test("a file that is empty, cut off, altered, garbage or of a later version is unusable, never a crash", () => {
  const file = join(dir, "copy.json");
  save(file);
  const good = readFileSync(file, "utf8");
  const wrong = [
    "",
    good.slice(0, 20),
    good.replace('"ä":[1]', '"ä":[2]'),
    "\0\0\0",
    "null",
    "[]",
    '{"format":2}',
  ];
  wrong.push('{"format":1,"revision":7,"checksum":"0","entries":[["/a"]]}', good.replace('"/a"', '"/b"'));
  for (const text of wrong) {
    writeFileSync(file, text);
    expect(`${text}: ${loadCopy(file).kind}`).toBe(`${text}: unusable`);
  }
});
