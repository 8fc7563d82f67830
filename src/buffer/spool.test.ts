import { afterEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { systemClock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import { createLog } from "../std/log.ts";
import type { NewWrite } from "./port.ts";
import { encodeRecord, readSegment, SegmentFile } from "./segment.ts";
import { openSpool } from "./spool.ts";

const folders: string[] = [];
const makeFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "nines-spool-"));
  folders.push(folder);
  return folder;
};
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
const write = (i: number): NewWrite => ({
  target: "pay",
  body: Buffer.from(`body ${i}`),
  key: `k${i % 2}`,
  idempotencyKey: `i${i}`,
  headers: { "x-n": String(i) },
});
const away = new NinesError("unavailable", "the database is away", { blame: "platform" });

/** A database that is away until told otherwise. */
function makeStore() {
  const stored: NewWrite[] = [];
  const state = { up: false };
  return {
    stored,
    state,
    async write(writes: readonly NewWrite[]) {
      if (!state.up) throw away;
      stored.push(...writes);
      return [];
    },
  };
}
const open = (folder: string, store: ReturnType<typeof makeStore>, bytesMax?: number) =>
  openSpool({
    folder,
    store,
    clock: systemClock,
    log: createLog({}, () => {}),
    random: () => 0,
    ...(bytesMax === undefined ? {} : { bytesMax }),
  });
const empty = async (spool: { readonly depth: number }) => {
  const deadline = Date.now() + 30_000;
  while (spool.depth > 0 && Date.now() < deadline) await Bun.sleep(5);
  expect(spool.depth).toBe(0);
};
/** No process has it: numbers end below it. */
const deadPid = 4_194_304;
/** Makes it look as if the process that owns the folders had died. */
const disown = (folder: string) => {
  for (const name of readdirSync(folder)) {
    const [time, , started, random] = name.split("-");
    if (random !== undefined)
      renameSync(join(folder, name), join(folder, `${time}-${deadPid}-${started}-${random}`));
  }
};
const files = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => relative(folder, join(one.parentPath, one.name)))
    .toSorted();
const ids = (writes: readonly NewWrite[]) => writes.map((one) => one.idempotencyKey);

test("what is added while the database is away is replayed in order when it is back, whole", async () => {
  const [folder, store] = [makeFolder(), makeStore()];
  await using spool = await open(folder, store);
  await Promise.all(Array.from({ length: 600 }, (_, i) => spool.add(write(i))));
  expect(spool.depth).toBe(600);
  store.state.up = true;
  await empty(spool);
  expect(ids(store.stored)).toEqual(Array.from({ length: 600 }, (_, i) => `i${i}`));
  expect(store.stored[7]).toEqual(write(7));
  expect(files(folder)).toEqual([]);
});

test("a process that dies leaves its spool to its successor", async () => {
  const [folder, store] = [makeFolder(), makeStore()];
  const first = await open(folder, store);
  await first.add(write(1));
  await first.add(write(2));
  // Both are this process, so the first still has what is its own.
  await using other = await open(folder, store);
  expect(other.depth).toBe(0);
  await first[Symbol.asyncDispose]();
  disown(folder);
  await using second = await open(folder, store);
  await second.add(write(3));
  expect(second.depth).toBe(3);
  store.state.up = true;
  await empty(second);
  expect(ids(store.stored)).toEqual(["i1", "i2", "i3"]);
  expect(files(folder)).toEqual([]);
});

test("of a dead process's spool one successor becomes the heir, however many there are", async () => {
  const [folder, store] = [makeFolder(), makeStore()];
  const first = await open(folder, store);
  await first.add(write(1));
  await first[Symbol.asyncDispose]();
  disown(folder);
  const heirs = await Promise.all(Array.from({ length: 5 }, () => open(folder, store)));
  expect(heirs.map((heir) => heir.depth).toSorted()).toEqual([0, 0, 0, 0, 1]);
  store.state.up = true;
  for (const heir of heirs) await empty(heir);
  for (const heir of heirs) await heir[Symbol.asyncDispose]();
  expect(ids(store.stored)).toEqual(["i1"]);
});

test("what its target will never take is kept aside, and nobody waits behind it", async () => {
  const [folder, store] = [makeFolder(), makeStore()];
  const refusing = {
    ...store,
    async write(writes: readonly NewWrite[]) {
      if (!store.state.up) throw away;
      store.stored.push(...writes.filter((one) => one.target === "pay"));
      return [{ target: "gone", code: "not_found" as const }];
    },
  };
  await using spool = await open(folder, refusing as never);
  await spool.add({ ...write(1), target: "gone" });
  await spool.add(write(2));
  store.state.up = true;
  await empty(spool);
  expect(ids(store.stored)).toEqual(["i2"]);
  const kept = files(folder).filter((name) => name.endsWith(".refused"));
  expect(kept.flatMap((name) => ids(readSegment(join(folder, name)).writes))).toEqual(["i1"]);
});

test("cut off at any byte, a file gives every record that was whole before it", async () => {
  const path = join(makeFolder(), "00000001.spool");
  const file = SegmentFile.create(path);
  const ends = [file.bytes];
  for (let i = 0; i < 4; i++) {
    file.append([encodeRecord(write(i))]);
    ends.push(file.bytes);
  }
  file.close();
  const whole = readFileSync(path);
  for (let bytes = 0; bytes <= whole.byteLength; bytes++) {
    writeFileSync(path, whole.subarray(0, bytes));
    const found = readSegment(path);
    expect(found.writes.length).toBe(Math.max(0, ends.filter((end) => end <= bytes).length - 1));
    expect(found.damage === undefined).toBe(ends.includes(bytes));
    if (found.damage !== undefined && bytes > 0) expect(found.damage.kind).toBe("torn");
  }
});

test("any byte changed is noticed, what is before it is kept, and nothing false is replayed", async () => {
  const path = join(makeFolder(), "00000001.spool");
  const file = SegmentFile.create(path);
  file.append([0, 1, 2].map((i) => encodeRecord(write(i))));
  file.close();
  const whole = readFileSync(path);
  const all = ["i0", "i1", "i2"];
  for (let at = 0; at < whole.byteLength; at++) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x41;
    writeFileSync(path, bytes);
    const found = readSegment(path);
    expect(found.damage).toBeDefined();
    expect(ids(found.writes)).toEqual(all.slice(0, found.writes.length));
    expect(found.writes.length).toBeLessThan(3);
  }
});

test("a foreign or garbled file is kept aside, and its good records are replayed", async () => {
  const [folder, store] = [makeFolder(), makeStore()];
  const dead = join(folder, `000000000000001-${deadPid}-1-00000000`);
  mkdirSync(dead);
  writeFileSync(join(dead, "00000001.spool"), "#!/bin/sh\necho hello\n");
  const file = SegmentFile.create(join(dead, "00000002.spool"));
  file.append([0, 1, 2].map((i) => encodeRecord(write(i))));
  file.close();
  const bytes = readFileSync(join(dead, "00000002.spool"));
  const middle = bytes.indexOf("i1");
  bytes[middle] = 0x58;
  writeFileSync(join(dead, "00000002.spool"), bytes);
  store.state.up = true;
  await using spool = await open(folder, store);
  await empty(spool);
  expect(ids(store.stored)).toEqual(["i0"]);
  expect(files(folder).map((name) => name.replace(/^aside\/[^.]+\./, ""))).toEqual([
    "00000001.spool.damaged",
    "00000002.spool.damaged",
  ]);
});

test("at its bound it refuses as overloaded, and takes writes again when it was replayed", async () => {
  const [folder, store] = [makeFolder(), makeStore()];
  await using spool = await open(folder, store, 500);
  const added = async () => {
    for (let i = 0; i < 20; i++) await spool.add(write(i));
  };
  await expect(added()).rejects.toMatchObject({ code: "overloaded" } as never);
  store.state.up = true;
  await empty(spool);
  await spool.add(write(99));
  await empty(spool);
  expect(ids(store.stored).at(-1)).toBe("i99");
});

test("writes that are added while it is being replayed are all taken, and all replayed in order", async () => {
  const [folder, store] = [makeFolder(), makeStore()];
  store.state.up = true;
  await using spool = await open(folder, store);
  for (let i = 0; i < 500; i++) await spool.add(write(i));
  await empty(spool);
  expect(ids(store.stored)).toEqual(Array.from({ length: 500 }, (_, i) => `i${i}`));
});

/** A file system of its own, that is really full when it is; undefined where none may be mounted. */
function mountSmall(kilobytes: number): (Disposable & { readonly path: string }) | undefined {
  const path = makeFolder();
  const options = `size=${kilobytes}k`;
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path], { stdio: "ignore" });
  if (status !== 0) return undefined;
  return { path, [Symbol.dispose]: () => void spawnSync("umount", ["-l", path], { stdio: "ignore" }) };
}

test("on a disk that is really full a write is refused by name, none that was taken is lost, and it goes on when there is room", async () => {
  using disk = mountSmall(256);
  if (disk === undefined) return console.log("skipped: nothing may be mounted here");
  const store = makeStore();
  const taken: number[] = [];
  const ballast = join(disk.path, "ballast");
  writeFileSync(ballast, Buffer.alloc(64 * 1024));
  const big = (i: number) => ({ ...write(i), body: Buffer.alloc(4_000, i % 251) });
  {
    await using spool = await open(join(disk.path, "spool"), store);
    let refused: NinesError | undefined;
    for (let i = 0; refused === undefined && i < 1_000; i++) {
      await spool.add(big(i)).then(
        () => taken.push(i),
        (error: NinesError) => {
          refused = error;
        },
      );
    }
    expect(refused).toMatchObject({ code: "unavailable", retryable: true });
    expect(refused?.message).toContain("its disk is full");
    expect(taken.length).toBeGreaterThan(10);
    // Full still: each try is told so, and what is taken stays counted.
    for (let i = 1_000; i < 1_005; i++)
      await expect(spool.add(big(i))).rejects.toMatchObject({ code: "unavailable" } as never);
    expect(spool.depth).toBe(taken.length);
    rmSync(ballast);
    for (let i = 2_000; i < 2_008; i++) {
      await spool.add(big(i));
      taken.push(i);
    }
    expect(spool.depth).toBe(taken.length);
  }
  // The process is gone; its successor has all of it, and the disk is full again.
  disown(join(disk.path, "spool"));
  await using spool = await open(join(disk.path, "spool"), store);
  expect(spool.depth).toBe(taken.length);
  store.state.up = true;
  await empty(spool);
  expect(store.stored.map((one) => one.idempotencyKey)).toEqual(taken.map((i) => `i${i}`));
  expect(store.stored.every((one, at) => Buffer.from(one.body).equals(big(taken[at] ?? 0).body))).toBe(true);
});
