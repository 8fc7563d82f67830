/**
 * The same when more is broken than the release: controllers killed at every transition, PostgreSQL away, no
 * traffic at all, a baseline that fails too, latency that only an assert sees; and the platform's own parts
 * upgraded under load. NINES_TEST=long runs it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PartStatus } from "../../src/wire/part.ts";
import { until } from "../harness.ts";
import { short } from "../length.ts";
import { type Bench, startBench } from "./bench.ts";

const limitMs = 300_000;
let bench: Bench;

describe.skipIf(short)("with more broken than the release", () => {
  beforeAll(async () => {
    bench = await startBench(200);
  }, 180_000);
  afterAll(async () => await bench?.[Symbol.asyncDispose](), 300_000);

  test(
    "a release whose p99 doubles in beta is rolled back by itself, with the value that was measured",
    async () => {
      const assert = 'p99(http.latency_ms{app="shop"}, 5s) < 150';
      const { rollout, code } = await bench.deploy({ slowMs: 300 }, { asserts: [assert], bakeMs: 120_000 });
      expect(code).toBe(1);
      const met = bench.users.take();
      bench.expectOnlyMembers(met, rollout);
      expect(met.filter((one) => one.status !== 200)).toEqual([]);
      const back = (await bench.history(rollout)).find((one) => one.to === "beta returning");
      expect(back?.measured).toMatchObject({ claim: assert, threshold: 150 });
      expect(back?.measured?.value).toBeGreaterThan(150);
      expect(back?.measured?.samples).toBeGreaterThan(0);
    },
    limitMs,
  );

  test(
    "controllers that are killed at every transition change nothing for a good release, nor for a bad one",
    async () => {
      for (const bug of [{}, { failing: 0.1 }]) {
        bench.users.take();
        const killer = killAtTransitions();
        const { rollout } = await bench.deploy(bug, { bakeMs: 4_000, deadlineMs: 120_000 });
        const end = await bench.untilOver(rollout);
        const kills = await killer.stop();
        const wanted = "failing" in bug ? "failed" : "done";
        expect([wanted, end.state]).toEqual([
          wanted,
          end.state === wanted ? wanted : `${end.state}: ${end.reason}`,
        ]);
        expect(kills).toBeGreaterThan(3);
        const met = bench.users.take();
        bench.expectOnlyMembers(met, rollout);
        const foreign = met.filter((one) => one.status !== 200 && one.release !== rollout.target.release);
        expect(foreign).toEqual([]);
      }
    },
    limitMs,
  );

  test(
    "with PostgreSQL away a bad release meets nobody any more, and is written as failed afterwards",
    async () => {
      const { rollout } = await bench.deploy({ failing: 0.1 }, { bakeMs: 120_000, requestsMin: 100_000 }, [
        "--detach",
      ]);
      await until("beta bakes", 60_000, async () => (await bench.rollout()).staging?.open === 2);
      await bench.platform.must("part", "stop", "postgres");
      await until("the routers lead nobody to it", 60_000, async () => {
        bench.users.take();
        await Bun.sleep(2_000);
        const met = bench.users.take();
        return met.length > 100 && met.every((one) => one.release !== rollout.target.release);
      });
      await bench.platform.must("part", "start", "postgres");
      const end = await bench.untilOver(rollout);
      expect(end.state).toBe("failed");
      const back = (await bench.history(rollout)).find((one) => one.to === "beta returning");
      expect(back?.why).toContain("requests failed");
    },
    limitMs,
  );

  test(
    "what fails for the baseline too pauses, and blames nobody",
    async () => {
      await bench.must({ everywhere: true, failing: 0.25 }, ["--now"]);
      const { rollout, code, stderr } = await bench.deploy(
        { everywhere: true, failing: 0.25 },
        { bakeMs: 120_000 },
      );
      expect(code).toBe(1);
      expect(stderr).toContain("is paused in beta");
      expect((await bench.history(rollout)).at(-1)?.why).toContain("does not hold for v");
      await bench.platform.must("rollback", "-a", "shop", "--no-wait");
      expect((await bench.untilOver(rollout)).state).toBe("failed");
      const promoted = await bench.platform.nines("promote", "-a", "shop");
      expect(promoted.code).not.toBe(0);
      expect(promoted.stderr).toContain("was turned down");
      await bench.must({}, ["--now"]);
    },
    limitMs,
  );

  test(
    "an upgrade of the platform's parts, one at a time, fails no request",
    async () => {
      bench.users.take();
      const before = await bench.platform.parts();
      await bench.platform.must("upgrade");
      const after = await bench.platform.parts();
      const pid = (parts: readonly PartStatus[], name: string) =>
        parts.find((part) => part.name === name)?.pid;
      for (const name of ["router.1", "router.2", "broker.3", "controller.2", "agent", "relay.1"]) {
        expect([name, pid(after, name)]).not.toEqual([name, pid(before, name)]);
      }
      expect(pid(after, "postgres")).toBe(pid(before, "postgres")!);
      expect(bench.users.take().filter((one) => one.status !== 200)).toEqual([]);
    },
    limitMs,
  );

  test(
    "without traffic it holds, until the deadline decides",
    async () => {
      await bench.users[Symbol.asyncDispose]();
      const { rollout } = await bench.deploy({}, { bakeMs: 500, requestsMin: 50, deadlineMs: 15_000 }, [
        "--detach",
      ]);
      await until("beta bakes", 60_000, async () => (await bench.rollout()).staging?.open === 2);
      await Bun.sleep(5_000);
      expect(await bench.rollout()).toMatchObject({ state: "baking", staging: { stage: 1 } });
      const end = await bench.untilOver(rollout);
      expect(end).toMatchObject({ state: "failed" });
      expect(end.reason).toContain("it waited for 50 more requests");
    },
    limitMs,
  );
});

/** Kills one controller after the other, each time the rollout has moved. */
function killAtTransitions() {
  let kills = 0;
  let last = "";
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      await Bun.sleep(20);
      const parts = await bench.platform.parts().catch(() => []);
      const at = await bench
        .rollout()
        .then((now) => `${now.id} ${now.state} ${now.staging?.stage}`)
        .catch(() => last);
      if (at === last) continue;
      last = at;
      const victim = parts.filter((part) => part.kind === "controller" && part.state === "up")[kills % 2];
      if (victim?.pid == null) continue;
      process.kill(victim.pid, "SIGKILL");
      kills++;
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      return kills;
    },
  };
}
