import { afterEach, expect, test } from "bun:test";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { Header } from "tar";
import { findProblem, unpack } from "./archive.ts";

const limits = { filesMax: 100, bytesMax: 1_000_000 };

interface Entry {
  readonly path: string;
  readonly type?: "File" | "SymbolicLink" | "Link" | "CharacterDevice" | "FIFO" | "Directory";
  readonly linkpath?: string;
  readonly text?: string;
  readonly mode?: number;
}

/** An archive as nobody's tar would make it. */
function toArchive(entries: readonly Entry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { path, type = "File", linkpath = "", text = "", mode = 0o644 } of entries) {
    const block = Buffer.alloc(512);
    new Header({ path, type, linkpath, size: text.length, mode, mtime: new Date(0) }).encode(block, 0);
    blocks.push(block, Buffer.from(text), Buffer.alloc((512 - (text.length % 512)) % 512));
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1_024)]));
}

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function extract(archive: Buffer, most = limits): Promise<{ folder: string; error: string }> {
  const folder = mkdtempSync(join(tmpdir(), "nines-archive-"));
  folders.push(folder);
  const error = await unpack(Readable.from([archive]), folder, most).then(
    () => "",
    (thrown: Error) => thrown.message,
  );
  return { folder, error };
}

test("files, folders and links within the tree come out as they went in", async () => {
  const { folder, error } = await extract(
    toArchive([
      { path: "bin/", type: "Directory", mode: 0o755 },
      { path: "bin/run", text: "#!/bin/sh\n", mode: 0o755 },
      { path: "run", type: "SymbolicLink", linkpath: "bin/run" },
      { path: "bin/up", type: "SymbolicLink", linkpath: "../bin/run" },
    ]),
  );
  expect(error).toBe("");
  expect(readFileSync(join(folder, "run"), "utf8")).toBe("#!/bin/sh\n");
  expect(readFileSync(join(folder, "bin/up"), "utf8")).toBe("#!/bin/sh\n");
});

const refused: Record<string, Entry> = {
  "leaves the folder": { path: "../evil" },
  "leaves the folder that": { path: "a/../../evil" },
  "leaves the folder that it": { path: "/etc/evil" },
  'points out of the app, to "/etc/passwd"': { path: "p", type: "SymbolicLink", linkpath: "/etc/passwd" },
  'points out of the app, to "../../x"': { path: "a/p", type: "SymbolicLink", linkpath: "../../x" },
  'points out of the app, to "../x"': { path: "p", type: "Link", linkpath: "../x" },
  "is a CharacterDevice": { path: "null", type: "CharacterDevice" },
  "is a FIFO": { path: "pipe", type: "FIFO" },
};
for (const [problem, entry] of Object.entries(refused)) {
  test(`an archive with ${JSON.stringify(entry.path)} is refused, as it ${problem}`, async () => {
    const { folder, error } = await extract(toArchive([{ path: "fine", text: "x" }, entry]));
    expect(error).toStartWith("the archive is refused: ");
    expect(error).toContain(problem);
    expect(existsSync(join(folder, "..", "evil"))).toBe(false);
  });
}

test("more files than an app has any use for are refused", async () => {
  const { error } = await extract(toArchive(Array.from({ length: 101 }, (_, i) => ({ path: `f${i}` }))));
  expect(error).toBe("the archive holds more than 100 files");
});

test("more bytes are refused, told by the header before they are written", async () => {
  const { folder, error } = await extract(toArchive([{ path: "big", text: "x".repeat(1_000_001) }]));
  expect(error).toContain("the archive holds more than");
  expect(existsSync(join(folder, "big"))).toBe(false);
});

test("bytes after the end of the archive count too", async () => {
  const bomb = Buffer.concat([toArchive([{ path: "a" }]), gzipSync(Buffer.alloc(3_000_000))]);
  const { error } = await extract(bomb);
  expect(error).toContain("the archive holds more than");
});

test("an archive that is cut off anywhere is refused", async () => {
  const noise = Array.from({ length: 4_000 }, (_, i) => ((i * 7919) % 255).toString(16)).join("");
  const whole = toArchive([
    { path: "a", text: noise },
    { path: "b", text: noise },
  ]);
  for (const share of [0.1, 0.5, 0.9, 0.99]) {
    const { error } = await extract(whole.subarray(0, Math.floor(whole.length * share)));
    expect(error).toBe("the archive is cut off before its end");
  }
});

test("what is no archive at all is refused", async () => {
  expect((await extract(Buffer.from("hello, I am a text file"))).error).toContain(
    "the archive cannot be read",
  );
  expect((await extract(gzipSync("hello, I am no archive either".repeat(100)))).error).not.toBe("");
});

test("a file that cannot be read is an error and no hang", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nines-archive-"));
  folders.push(folder);
  await expect(unpack(createReadStream(join(folder, "missing")), folder)).rejects.toThrow();
  writeFileSync(join(folder, "empty"), "");
  await expect(unpack(createReadStream(join(folder, "empty")), folder)).rejects.toThrow("cut off");
});

test("names with dots that stay inside are fine", () => {
  for (const path of ["..a/b", "a/..b", "a/../b", "./a", "..."]) {
    expect(findProblem({ path, type: "File" }, 1, 1, limits)).toBeUndefined();
  }
});
