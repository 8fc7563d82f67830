import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Home, toHome } from "../wire/home.ts";
import { hasUpload, pruneUploads, receiveUpload } from "./uploads.ts";

let home: Home;
beforeEach(() => {
  home = toHome(mkdtempSync(join(tmpdir(), "nines-upload-")));
  mkdirSync(home.uploads);
});
afterEach(() => rmSync(home.root, { recursive: true, force: true }));

const bytes = Buffer.from("an archive");
const sha256 = createHash("sha256").update(bytes).digest("hex");
const stream = (...parts: readonly Uint8Array[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });
const receive = (body: ReadableStream<Uint8Array> | null, over: { bytes?: number; bytesMax?: number } = {}) =>
  receiveUpload(home, { sha256, body, bytes: undefined, bytesMax: 1_000, ...over });

test("what was announced is there, for its owner alone", async () => {
  await receive(stream(bytes.subarray(0, 3), bytes.subarray(3)), { bytes: bytes.length });
  expect(readFileSync(home.upload(sha256))).toEqual(bytes);
  expect(statSync(home.upload(sha256)).mode & 0o777).toBe(0o600);
  expect(hasUpload(home, sha256)).toBe(true);
});

test("too much is noticed while it comes, too little at its end, another content by its sum; nothing stays", async () => {
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("connection reset")),
  });
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(bytes) });
  const cases: readonly [() => Promise<void>, string][] = [
    [() => receive(endless), "more than 1000 bytes"],
    [() => receive(stream(bytes), { bytes: 50 }), "cut off after 10 of 50 bytes"],
    [() => receive(broken, { bytes: 50 }), "cut off after 0 of 50 bytes"],
    [() => receive(stream(Buffer.from("another"))), `not ${sha256}`],
    [() => receive(null), "the upload has the sha256"],
  ];
  for (const [act, message] of cases) await expect(act()).rejects.toThrow(message);
  expect(readdirSync(home.uploads)).toEqual([]);
});

test("two that bring the same at once both succeed", async () => {
  await Promise.all([receive(stream(bytes)), receive(stream(bytes))]);
  expect(readdirSync(home.uploads)).toEqual([`${sha256}.tgz`]);
});

test("what is old and not wanted goes; what is wanted or new stays", () => {
  const put = (name: string, old: boolean) => {
    writeFileSync(join(home.uploads, name), "");
    if (old) utimesSync(join(home.uploads, name), 1_000, 1_000);
  };
  put("wanted.tgz", true);
  put("unwanted.tgz", true);
  put("half.123.tmp", true);
  put("new.tgz", false);
  pruneUploads(home, new Set(["wanted"]), new Date());
  expect(readdirSync(home.uploads).sort()).toEqual(["new.tgz", "wanted.tgz"]);
});
