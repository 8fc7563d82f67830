/**
 * Releases that go through stages, under load by known users: what is good arrives, what has a bug that shows
 * in beta alone is rolled back by itself, and nobody outside of the stage ever met it. NINES_TEST=short leaves out the one that needs many requests.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { short } from "../length.ts";
import { type Bench, startBench } from "./bench.ts";

const limitMs = 180_000;
let bench: Bench;

beforeAll(async () => {
  bench = await startBench(200);
}, 180_000);
afterAll(async () => await bench?.[Symbol.asyncDispose](), 300_000);

test(
  "a good release goes through internal and beta to all, and no request fails",
  async () => {
    bench.users.take();
    const { rollout, code } = await bench.deploy({});
    expect(code).toBe(0);
    const met = bench.users.take();
    expect(met.filter((one) => one.status !== 200)).toEqual([]);
    bench.expectOnlyMembers(met, rollout);
    const release = await bench.release(rollout.target.release);
    expect(release.state).toBe("current");
    expect(release.transitions.map((one) => one.to)).toEqual([
      ...["building", "internal starting", "internal baking", "beta starting", "beta baking"],
      ...["all starting", "all baking", "starting", "switching", "draining", "done"],
    ]);
    const stages = new Set(
      met.filter((one) => one.release === rollout.target.release).map((one) => one.stage),
    );
    expect([...stages]).toEqual(expect.arrayContaining(["internal", "beta", "all"]));
  },
  limitMs,
);

test.skipIf(short)(
  "a release that fails 2 % of its requests in beta is rolled back by itself, with the share that was measured",
  async () => {
    const { rollout, code, stderr } = await bench.deploy({ failing: 0.02 }, { bakeMs: 60_000 });
    expect(code).toBe(1);
    expect(stderr).toContain("requests failed");
    const met = bench.users.take();
    bench.expectOnlyMembers(met, rollout);
    // The app's own answers, and no others.
    const failed = met.filter((one) => one.status !== 200);
    expect(failed.every((one) => one.status === 500 && one.release === rollout.target.release)).toBe(true);
    const last = (await bench.history(rollout)).find((one) => one.to === "beta returning");
    expect(last?.measured).toMatchObject({ claim: "failed requests", threshold: 0.01 });
    expect(last?.measured?.value).toBeGreaterThan(0.01);
  },
  limitMs,
);

test(
  "a release that leaks until R15 in beta is rolled back by itself",
  async () => {
    const { rollout, code } = await bench.deploy({ leakBytes: 8_000_000 }, { bakeMs: 60_000 });
    expect(code).toBe(1);
    const met = bench.users.take();
    bench.expectOnlyMembers(met, rollout);
    const transitions = await bench.history(rollout);
    expect(transitions.find((one) => one.to === "beta returning")?.why).toMatch(/crashed .*R15/);
  },
  limitMs,
);

test(
  "a release that is never ready meets nobody",
  async () => {
    bench.users.take();
    const { rollout, code } = await bench.deploy({ unready: true });
    expect(code).toBe(1);
    const met = bench.users.take();
    expect(met.filter((one) => one.release === rollout.target.release || one.status !== 200)).toEqual([]);
    const transitions = await bench.history(rollout);
    expect(transitions.at(-1)).toMatchObject({ from: "internal starting", to: "failed" });
    expect(transitions.at(-1)?.why).toContain("R10");
  },
  limitMs,
);
