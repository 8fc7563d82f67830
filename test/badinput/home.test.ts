/** The ground below the platform gives way: ports, the home folder, its files, a second `nines up`, the clock. */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { findProcesses } from "../../src/drill/leftovers.ts";
import { startLoad } from "../../src/drill/load/load.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { send } from "../send.ts";

const limitMs = 400_000;
const waitMs = 60_000;
const root = process.getuid?.() === 0;

for (const variable of ["NINES_PORT", "NINES_API_PORT"] as const) {
  test(
    `a taken port is named, and so is ${variable}`,
    async () => {
      await using platform = await startPlatform({ up: false });
      const taken = createServer();
      await new Promise<void>((resolve) =>
        taken.listen({ port: Number(platform.env[variable]), host: "127.0.0.1" }, resolve),
      );
      try {
        const ran = await platform.nines("up", "-d");
        expect(ran.code).not.toBe(0);
        expect(ran.stderr).toContain(String(platform.env[variable]));
        expect(ran.stderr).toContain(variable);
        // One that was just ended takes a moment to be gone from /proc.
        await until("nothing runs", waitMs, () => findProcesses(platform.folder).length === 0);
      } finally {
        taken.close();
      }
    },
    limitMs,
  );
}

test(
  "a read-only home is named",
  async () => {
    await using platform = await startPlatform({ up: false });
    using home = root ? mount(platform, "ro,size=1m") : closed(platform);
    if (home === undefined) return console.error("skipped: no right to mount a read-only home");
    const ran = await platform.nines("up", "-d");
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain(platform.home.root);
    expect(ran.stderr).toMatch(/read-only|may not write/);
  },
  limitMs,
);

test(
  "a full home is named",
  async () => {
    await using platform = await startPlatform({ up: false });
    using home = mount(platform, "size=64k");
    if (home === undefined) return console.error("skipped: no right to mount a small home");
    spawnSync("sh", ["-c", `cat /dev/zero > ${platform.home.root}/filler 2>/dev/null`]);
    const ran = await platform.nines("up", "-d");
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain(platform.home.root);
    expect(ran.stderr).toMatch(/full|space/);
  },
  limitMs,
);

test(
  "another user's home is refused",
  async () => {
    await using platform = await startPlatform({ up: false });
    mkdirSync(platform.home.root);
    if (root) chownSync(platform.home.root, 65_534, 65_534);
    const ran = await platform.run(["up", "-d"], { env: root ? {} : { NINES_HOME: "/usr" } });
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(/another user/);
    if (root) chownSync(platform.home.root, 0, 0);
  },
  limitMs,
);

test(
  "a home of a newer version is refused, and stays as it was",
  async () => {
    await using platform = await startPlatform({ up: false });
    mkdirSync(platform.home.root);
    writeFileSync(platform.home.version, "999\n");
    const ran = await platform.nines("up", "-d");
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(/newer/);
    expect(readFileSync(platform.home.version, "utf8")).toBe("999\n");
  },
  limitMs,
);

test(
  "two `nines up` on one home make one platform",
  async () => {
    await using platform = await startPlatform({ up: false });
    const both = await Promise.all([platform.nines("up", "-d"), platform.nines("up", "-d")]);
    for (const ran of both) expect([0, 69]).toContain(ran.code);
    expect(both.map((ran) => ran.code)).toContain(0);
    await platform.whole();
    // The second one, if there was one, has to see that the home is taken, and to go.
    const isAlone = () => kernels(platform).length === 1;
    await until("one kernel is left", waitMs, isAlone);
    expect((await platform.nines("up", "-d")).code).toBe(0);
    await until("one kernel is left", waitMs, isAlone);
  },
  limitMs,
);

const damages: readonly (readonly [string, (content: Buffer) => Buffer])[] = [
  ["truncated", (content) => content.subarray(0, content.length >> 1)],
  ["empty", () => Buffer.alloc(0)],
  ["garbage", (content) => Buffer.from(content.map((byte) => byte ^ 0xa5))],
];

test(
  "state files that were damaged while it was down cost nothing",
  async () => {
    await using platform = await startPlatform();
    await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
    for (const [, damage] of damages) {
      await platform.must("down");
      for (const path of stateFiles(platform)) writeFileSync(path, damage(readFileSync(path)));
      await platform.must("up", "-d");
      await until("the app answers", waitMs, async () => (await platform.fetch("shop")).status === 200);
    }
  },
  limitMs,
);

test(
  "state files that are damaged while it runs restart nothing and duplicate nothing, when kernel and agent die",
  async () => {
    await using platform = await startPlatform();
    await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
    await platform.must("scale", "web=2", "worker=0", "-a", "shop", "--wait");
    const running = () =>
      platform
        .running("shop")
        .map((one) => one.pid)
        .toSorted();
    const before = running();
    const list = await platform.whole();
    for (const [name, damage] of damages) {
      for (const path of stateFiles(platform)) writeFileSync(path, damage(readFileSync(path)));
      for (const part of await platform.whole()) {
        if (part.name === "kernel" || part.name === "agent") send(part.pid, "SIGKILL");
      }
      const now = await until(`all is whole with ${name} files`, waitMs, async () => {
        const parts = await platform.parts();
        return parts.length >= 10 && parts.every((part) => part.state === "up") ? parts : undefined;
      });
      const kept = (parts: typeof now) =>
        parts.filter((part) => !/kernel|agent/.test(part.name)).map((part) => `${part.name} ${part.pid}`);
      expect(kept(now)).toEqual(kept(list));
      await until("one kernel is left", waitMs, () => kernels(platform).length === 1);
      await until(
        "the instances are known again",
        waitMs,
        async () => (await platform.instances("shop")).length === 2,
      );
      await until("they are the same", waitMs, () => running().join() === before.join());
    }
  },
  limitMs,
);

test(
  "a clock that jumps restarts nothing and fails no request",
  async () => {
    await using platform = await startPlatform({ up: false });
    // Every part reads bunfig.toml of the home it runs in: its wall clock follows a file of the test's.
    const offset = join(platform.folder, "offset");
    mkdirSync(platform.home.root);
    writeFileSync(offset, "0");
    writeFileSync(join(platform.home.root, "bunfig.toml"), 'preload = ["./jump.ts"]\n');
    writeFileSync(join(platform.home.root, "jump.ts"), jump(offset));
    await platform.must("up", "-d");
    await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
    await platform.must("scale", "web=2", "worker=0", "-a", "shop", "--wait");
    const parts = (await platform.whole()).map((part) => `${part.name} ${part.pid}`);
    const running = () =>
      platform
        .running("shop")
        .map((one) => one.pid)
        .toSorted();
    const instances = running();
    await using load = await startLoad({ port: platform.port, app: "shop", rate: 100 });

    for (const ms of [3_600_000, -3_600_000, 86_400_000, 0]) {
      writeFileSync(offset, String(ms));
      await Bun.sleep(3_500);
      const [one] = await platform.instances("shop");
      expect(one?.state).toBe("up");
    }
    expect((await platform.whole()).map((part) => `${part.name} ${part.pid}`)).toEqual(parts);
    expect(running()).toEqual(instances);
    writeFileSync(offset, "-3600000");
    await Bun.sleep(500);
    await platform.must("config:set", "COLOUR=green", "-a", "shop");
    expect((await platform.fetch("shop")).body).toContain("colour=green");
    expect((await load.stop()).failures).toEqual([]);
  },
  limitMs,
);

/** A preload that lets Date follow the offset in a file; monotonic time stays as it is, as with a real jump. */
function jump(offset: string): string {
  return `
    import { readFileSync } from "node:fs";
    const RealDate = Date;
    const realNow = Date.now;
    let ms = 0;
    setInterval(() => { try { ms = Number(readFileSync(${JSON.stringify(offset)}, "utf8")) || 0; } catch {} }, 50).unref();
    Date.now = () => realNow() + ms;
    globalThis.Date = new Proxy(RealDate, {
      construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [realNow() + ms] : args, made),
    });
  `;
}

function kernels(platform: Platform): readonly unknown[] {
  return findProcesses(platform.folder).filter((one) => /platform\/kernel\.ts/.test(one.command));
}

/** What the parts remember on disk: not secrets, not the version, not sockets, locks and beats. */
function stateFiles(platform: Platform): string[] {
  const below = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? below(path) : entry.isFile() ? [path] : [];
    });
  return ["run", "replica", "mesh", "agent"]
    .flatMap((folder) => below(join(platform.home.root, folder)))
    .filter((path) => path.endsWith(".json") && statSync(path).size > 0);
}

/** A file system of its own below the home; undefined where that is not allowed. */
function mount(platform: Platform, options: string): Disposable | undefined {
  const { root: home } = platform.home;
  mkdirSync(home);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", home]).status !== 0) return undefined;
  return { [Symbol.dispose]: () => void spawnSync("umount", ["-l", home]) };
}

function closed(platform: Platform): Disposable {
  mkdirSync(platform.home.root);
  chmodSync(platform.home.root, 0o500);
  return { [Symbol.dispose]: () => chmodSync(platform.home.root, 0o700) };
}
