import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "../std/fake-clock.ts";
import { createLog } from "../std/log.ts";
import { Mirror } from "./mirror.ts";
import {
  type Change,
  type FeedConnector,
  type ReplicaAlarm,
  type ReplicaOptions,
  startReplica,
} from "./registry.ts";

const log = createLog({}, () => {});
const dir = mkdtempSync(join(tmpdir(), "nines-replica-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
let files = 0;
const newFile = () => join(dir, `copy-${files++}.json`);

/** A source that says what the test tells it to, to whoever is connected. */
function createSource(name = "fake") {
  const asked: number[] = [];
  let pending: string[] = [];
  let wake = () => {};
  let over = false;
  const connector: FeedConnector = {
    name,
    async *open(from, signal) {
      asked.push(from);
      pending = [];
      over = false;
      signal.addEventListener("abort", () => wake());
      while (!signal.aborted && !over) {
        while (pending.length > 0) yield pending.shift() ?? "";
        if (over) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
  return {
    connector,
    asked,
    say(...records: unknown[]) {
      pending.push(...records.map((one) => (typeof one === "string" ? one : `${JSON.stringify(one)}\n`)));
      wake();
    },
    end() {
      over = true;
      wake();
    },
  };
}

const change = (revision: number, path: string, value: unknown = revision, at = 0) => ({
  kind: "change",
  path,
  value,
  revision,
  at,
});
const beat = (revision: number, rest: object = {}) => ({ kind: "beat", revision, at: 0, ...rest });
const snapshot = (revision: number, ...paths: string[]) => [
  { kind: "snapshot", revision },
  ...paths.map((path) => ({ kind: "entry", path, value: 1, revision: 1 })),
  { kind: "end", revision },
];

function start(clock: FakeClock, sources: readonly FeedConnector[], more: Partial<ReplicaOptions> = {}) {
  const alarms: ReplicaAlarm[] = [];
  const replica = startReplica({
    sources: async () => sources,
    secret: "s",
    file: newFile(),
    clock,
    random: () => 0,
    log,
    fetch,
    onAlarm: (alarm) => alarms.push(alarm),
    ...more,
  });
  return { replica, alarms };
}

test("a replica takes a snapshot, then commits as a whole, and tells its handlers", async () => {
  const clock = new FakeClock();
  const source = createSource();
  const { replica } = start(clock, [source.connector]);
  expect(replica.state.kind).toBe("empty");
  expect(replica.staleMs()).toBe(Number.POSITIVE_INFINITY);
  await clock.advance(0);
  source.say(...snapshot(5, "/a", "/b"), beat(5));
  await clock.advance(0);
  expect(replica.state).toEqual({ kind: "live", source: "fake" });
  expect(replica.staleMs()).toBe(0);
  const told: [readonly Change[], number][] = [];
  using _ = replica.onChange((changes, revision) => void told.push([changes, revision]));
  const at = clock.wall().getTime() - 7;
  source.say({ ...change(6, "/a", 2, at), more: true });
  await clock.advance(0);
  expect(replica.get("/a")?.value).toBe(1);
  source.say(change(6, "/b", null, at));
  await clock.advance(0);
  expect(told).toEqual([
    [
      [
        { path: "/a", value: 2 },
        { path: "/b", value: null },
      ],
      6,
    ],
  ]);
  expect(replica.list("/").map((entry) => entry.path)).toEqual(["/a"]);
  expect(replica.latencyMs).toBe(7);
  await replica[Symbol.asyncDispose]();
  expect(clock.waiting).toBe(0);
});

test("resuming is inclusive, and what comes twice is applied once", async () => {
  const clock = new FakeClock();
  const source = createSource();
  await using replica = start(clock, [source.connector]).replica;
  await clock.advance(0);
  source.say(...snapshot(5, "/a"), beat(5));
  await clock.advance(0);
  source.end();
  await clock.advance(200);
  expect(source.asked).toEqual([0, 5]);
  let told = 0;
  using _ = replica.onChange(() => void told++);
  source.say(change(5, "/a", 1), change(6, "/c"), beat(6));
  await clock.advance(0);
  expect([replica.revision, told]).toEqual([6, 1]);
});

test("after 3 s without a beat it goes to another source", async () => {
  const clock = new FakeClock();
  const [one, two] = [createSource("one"), createSource("two")];
  await using replica = start(clock, [one.connector, two.connector]).replica;
  await clock.advance(0);
  one.say(...snapshot(5, "/a"), beat(5));
  await clock.advance(2_900);
  expect(replica.state).toEqual({ kind: "live", source: "one" });
  await clock.advance(300);
  expect(replica.state.kind).toBe("stale");
  expect(two.asked).toEqual([5]);
  two.say(beat(5));
  await clock.advance(0);
  expect(replica.state).toEqual({ kind: "live", source: "two" });
});

test("a source that does not answer within 1 s is left for another", async () => {
  const clock = new FakeClock();
  const [one, two] = [createSource("one"), createSource("two")];
  await using _replica = start(clock, [one.connector, two.connector]).replica;
  await clock.advance(1_200);
  expect([one.asked, two.asked]).toEqual([[0], [0]]);
});

test("a record it cannot understand freezes it at the last good revision, and a snapshot thaws it", async () => {
  const clock = new FakeClock();
  const source = createSource();
  const { replica, alarms } = start(clock, [source.connector]);
  await clock.advance(0);
  source.say(
    ...snapshot(5, "/a"),
    beat(5),
    change(6, "/b"),
    { kind: "telepathy", revision: 7 },
    change(8, "/c"),
  );
  await clock.advance(0);
  expect(replica.state.kind).toBe("frozen");
  expect(replica.revision).toBe(6);
  expect(replica.list("/").map((entry) => entry.path)).toEqual(["/a", "/b"]);
  expect(alarms.map(({ kind }) => kind)).toEqual(["bad_record"]);
  await clock.advance(29_000);
  expect(source.asked).toEqual([0]);
  await clock.advance(1_100);
  expect(source.asked).toEqual([0, 0]);
  // Still not understood: nothing of that snapshot is taken.
  source.say(
    { kind: "snapshot", revision: 9 },
    { kind: "entry", path: "/x", revision: 1, value: 1 },
    "garbage\n",
  );
  await clock.advance(0);
  expect(replica.state.kind).toBe("frozen");
  expect(replica.get("/x")).toBeUndefined();
  await clock.advance(30_100);
  source.say(...snapshot(9, "/a", "/c"), beat(9));
  await clock.advance(0);
  expect(replica.state.kind).toBe("live");
  expect(replica.list("/").map((entry) => entry.path)).toEqual(["/a", "/c"]);
  await replica[Symbol.asyncDispose]();
});

for (const [name, kind, said] of [
  ["a commit that does not follow the last", "gap", change(7, "/x")],
  ["a beat of a revision that never came", "gap", beat(6)],
  ["another checksum at the same revision", "drift", beat(5, { checksum: "0123456789abcdef" })],
] as const) {
  test(`${name} raises an alarm and is mended by a snapshot`, async () => {
    const clock = new FakeClock();
    const source = createSource();
    const { replica, alarms } = start(clock, [source.connector]);
    await clock.advance(0);
    source.say(...snapshot(5, "/a"), beat(5), said);
    await clock.advance(0);
    expect(alarms.map((alarm) => alarm.kind)).toEqual([kind]);
    expect(replica.revision).toBe(5);
    await clock.advance(1_100);
    expect(source.asked).toEqual([0, 0]);
    const mirror = new Mirror();
    mirror.become({ revision: 7, entries: [{ path: "/b", value: 1, revision: 1 }] });
    source.say(...snapshot(7, "/b"), beat(7, { checksum: mirror.checksum }));
    await clock.advance(0);
    expect(replica.state.kind).toBe("live");
    expect(replica.get("/a")).toBeUndefined();
    await replica[Symbol.asyncDispose]();
  });
}

test("an older snapshot is taken only when a later connection offers it again", async () => {
  const clock = new FakeClock();
  const source = createSource();
  const { replica, alarms } = start(clock, [source.connector]);
  await clock.advance(0);
  source.say(...snapshot(50, "/a"), beat(50));
  await clock.advance(0);
  source.say(...snapshot(40, "/b"), beat(40));
  await clock.advance(0);
  expect(replica.revision).toBe(50);
  await clock.advance(1_100);
  source.say(...snapshot(40, "/b"), beat(40));
  await clock.advance(0);
  expect(replica.revision).toBe(50);
  await clock.advance(1_100);
  source.say(...snapshot(41, "/b"), beat(41));
  await clock.advance(0);
  expect(replica.revision).toBe(41);
  expect(replica.get("/a")).toBeUndefined();
  expect(alarms.map(({ kind }) => kind)).toEqual(["older_snapshot", "older_snapshot", "older_snapshot"]);
  await replica[Symbol.asyncDispose]();
});

test("it starts from disk without any source, and says how old its copy is", async () => {
  const clock = new FakeClock();
  const source = createSource();
  const file = newFile();
  const first = start(clock, [source.connector], { file }).replica;
  await clock.advance(0);
  source.say(...snapshot(5, "/a"), beat(5));
  await clock.advance(1_000);
  // No orderly end: what matters was saved within the second.
  const second = start(clock, [], { file });
  expect(second.replica.state).toEqual({ kind: "stale", reason: "from disk" });
  expect(second.replica.get("/a")?.value).toBe(1);
  expect(second.replica.staleMs()).toBeGreaterThan(0);
  await clock.advance(500);
  expect(second.replica.staleMs()).toBe(1_500);
  expect(second.alarms).toEqual([]);
  await second.replica.ready();
  await first[Symbol.asyncDispose]();
  await second.replica[Symbol.asyncDispose]();
});

test("a damaged disk copy is reported, and the snapshot from a controller replaces it", async () => {
  const clock = new FakeClock();
  const source = createSource();
  const file = newFile();
  writeFileSync(file, '{"format":1,"rev');
  const { replica, alarms } = start(clock, [source.connector], { file });
  expect(alarms.map(({ kind }) => kind)).toEqual(["disk"]);
  expect(replica.state.kind).toBe("empty");
  await clock.advance(0);
  source.say(...snapshot(5, "/a"), beat(5));
  await clock.advance(600);
  const again = start(clock, [], { file });
  expect(again.replica.revision).toBe(5);
  await again.replica[Symbol.asyncDispose]();
  await replica[Symbol.asyncDispose]();
});

test("a disk that cannot be written is reported once and costs nothing else", async () => {
  const clock = new FakeClock();
  const source = createSource();
  const { replica, alarms } = start(clock, [source.connector], { file: "/proc/nines/copy.json" });
  await clock.advance(0);
  source.say(...snapshot(5, "/a"), beat(5), change(6, "/b"));
  await clock.advance(600);
  source.say(change(7, "/b"));
  await clock.advance(600);
  expect(alarms.map(({ kind }) => kind)).toEqual(["disk"]);
  expect(replica.revision).toBe(7);
  await replica[Symbol.asyncDispose]();
});

test("a handler that throws, now or later, is reported and the others are told", async () => {
  const clock = new FakeClock();
  const source = createSource();
  const { replica, alarms } = start(clock, [source.connector]);
  const told: number[] = [];
  replica.onChange(() => {
    throw new Error("now");
  });
  replica.onChange(async () => {
    throw new Error("later");
  });
  replica.onChange((_changes, revision) => void told.push(revision));
  await clock.advance(0);
  source.say(...snapshot(5, "/a"), beat(5), change(6, "/b"));
  await clock.advance(0);
  expect(told).toEqual([5, 6]);
  expect(alarms.map(({ kind }) => kind)).toEqual(["handler", "handler", "handler", "handler"]);
  expect(replica.state.kind).toBe("live");
  await replica[Symbol.asyncDispose]();
});

test("staleness counts what the controller itself has not heard from the database", async () => {
  const clock = new FakeClock();
  const source = createSource();
  await using replica = start(clock, [source.connector]).replica;
  await clock.advance(0);
  source.say(...snapshot(5, "/a"), beat(5, { staleMs: 4_000 }));
  await clock.advance(500);
  expect(replica.staleMs()).toBe(4_500);
});
