import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overwrite } from "./file.ts";

test("a file is overwritten in its place, longer or shorter, and none is made", () => {
  const folder = mkdtempSync(join(tmpdir(), "nines-file-"));
  try {
    const path = join(folder, "part.json");
    expect(() => overwrite(path, "x")).toThrow("ENOENT");
    writeFileSync(path, "a longer text than the next");
    for (const text of ["short", "and one that is longer again"]) {
      overwrite(path, text);
      expect(readFileSync(path, "utf8")).toBe(text);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
