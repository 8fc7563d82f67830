/**
 * A home on a full disk: nothing that was acknowledged is lost, requests are answered, whoever is killed comes back all
 * the same, each part says what is wrong, and everything goes on by itself when there is room.
 */
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Filling, freeBytes, mayMount } from "../../src/drill/disk.ts";
import { audit } from "../../src/drill/evidence.ts";
import { prepareGround } from "../../src/drill/ground.ts";
import { wallMs } from "../../src/drill/load/load.ts";
import { startLoads } from "../../src/drill/loads.ts";
import type { Platform } from "../../src/drill/platform.ts";
import { startPlatform, until } from "../harness.ts";
import { short, times } from "../length.ts";

const limitMs = 600_000;
const waitMs = 60_000;
const homeBytes = 256 * 2 ** 20;
const lowBytes = 20 * 2 ** 20;
const fullMs = times(1_000, 30_000);
const rate = 50;
const changes = times(3, 10);
const isPossible = mayMount();
if (!isPossible)
  console.log("test/disk is left out: it mounts a small disk, for which it needs root and mount");

test.skipIf(!isPossible)(
  "a home without room loses nothing, says so everywhere, and goes on when there is some",
  async () => {
    await using platform = await startPlatform({ homeDisk: { bytes: homeBytes, on: "memory" }, guard: true });
    const folder = join(platform.folder, "drill");
    mkdirSync(folder, { mode: 0o711 });
    const ground = await prepareGround(platform, folder);
    // The short form kills on a full disk, and has nothing under way.
    await using loads = short ? undefined : await startLoads(ground, rate);
    await Bun.sleep(times(0, 2_000));
    const startedAt = wallMs();
    const filling = new Filling(platform.home.root, lowBytes);
    expect((await platform.must("status")).stderr).toContain("left");
    await until("the alert for a disk that runs low", waitMs, async () =>
      (await platform.must("alerts", "--json")).stdout.includes("disk-low"),
    );

    filling.more();
    const refilling = setInterval(() => filling.more(), 50);
    using _ = { [Symbol.dispose]: () => clearInterval(refilling) };
    expect((await platform.must("status")).stderr).toContain("is full");
    // A database has some room of its own; what it has taken, stays.
    let taken = 0;
    for (let n = 1; n < changes; n++) {
      const { code, stderr } = await platform.nines(...flagOf(n));
      if (code === 0) taken = n;
      else
        expect([code, stderr]).toEqual([expect.any(Number), expect.stringMatching(/no room|disk is full/)]);
    }
    await killInTurn(platform, short ? ["router.1", "kernel"] : ["router.1", "broker.1", "agent", "kernel"]);
    await Bun.sleep(fullMs);
    expect(freeBytes(platform.home.root)).toBeLessThan(lowBytes);
    clearInterval(refilling);
    filling[Symbol.dispose]();

    await ground.settled();
    const goneAt = wallMs();
    const { value } = JSON.parse((await platform.must("flags:explain", "drill", "--json")).stdout) as {
      value: number;
    };
    expect(value).toBeGreaterThanOrEqual(taken);
    await platform.must("config:set", "DRILL=after", "-a", "drill");
    await ground.settled();
    await until("it is said that there is room", waitMs, () =>
      /event=disk_has_room .*was=full/.test(platform.log("kernel.log")),
    );
    if (loads === undefined) return;
    // What was killed meanwhile takes its share along; the rest is as in a drill.
    const deed = {
      ...{ index: 0, kind: "disk-full", costs: "inflight" as const, targets: [], restarted: [] },
      ...{ startedAt, goneAt, endedAt: goneAt, ports: [] },
    };
    const { found } = await audit(ground, loads, [deed], wallMs());
    expect(found.messages.lost).toEqual([]);
    expect(found.messages.acked).toBeGreaterThan(0);
    expect(found.writes.lost).toEqual([]);
    expect(found.writes.twice).toEqual([]);
    expect(found.posts.lost).toEqual([]);
    expect(found.requests.wrong).toEqual([]);
  },
  limitMs,
);

function flagOf(value: number): readonly string[] {
  const definition = { state: "ENABLED", variants: { now: value }, defaultVariant: "now" };
  return ["flags:set", "drill", JSON.stringify(definition), "--why", "a test"];
}

/** Each is back, and another process, before the next one goes. */
async function killInTurn(platform: Platform, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const find = async () => (await platform.parts()).find((part) => part.name === name);
    const before = await find();
    process.kill(before?.pid ?? 0, "SIGKILL");
    await until(`${name} is back on a full disk`, waitMs, async () => {
      const now = await find().catch(() => undefined);
      return now?.state === "up" && now.pid !== before?.pid;
    });
  }
}
