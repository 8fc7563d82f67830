import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Header } from "tar";
import { readArchive } from "./archive.ts";

const folder = mkdtempSync(join(tmpdir(), "nines-contents-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const mebibyte = 2 ** 20;
const procfile = "web: node server.js\n";
const zeros = gzipSync(Buffer.alloc(32 * mebibyte));

function toHeader(path: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  new Header({ path, type: "File", size, mode: 0o644, mtime: new Date(0) }).encode(block, 0);
  return block;
}

/** Members of one gzip file: they are unpacked as one. */
function write(name: string, ...members: readonly Buffer[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(members));
  return path;
}

const start = Buffer.concat([
  toHeader("Procfile", procfile.length),
  Buffer.from(procfile),
  Buffer.alloc(492),
]);

test("what stands behind the end of an archive is not unpacked, however much it is", async () => {
  const path = write(
    "behind.tgz",
    gzipSync(Buffer.concat([start, Buffer.alloc(1_024)])),
    ...Array(64).fill(zeros),
  );
  expect((await readArchive(path)).processes).toEqual({ web: "node server.js" });
});

test("a small upload that stands for much leaves the event loop to others", async () => {
  const size = 8 * 32 * mebibyte;
  const head = gzipSync(Buffer.concat([start, toHeader("zeros", size)]));
  const path = write("bomb.tgz", head, ...Array(8).fill(zeros), gzipSync(Buffer.alloc(1_024)));
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  expect((await readArchive(path)).processes).toEqual({ web: "node server.js" });
  isOver = true;
  // Nowhere a step of more than a quarter of a mebibyte.
  expect(turns).toBeGreaterThan(size / (mebibyte / 4));
});

test("what is packed twice is refused", async () => {
  const path = write("twice.tgz", gzipSync(gzipSync(start)));
  await expect(readArchive(path)).rejects.toThrow("packed twice");
});
