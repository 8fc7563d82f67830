/**
 * SIGSTOP instead of SIGKILL: alive in the process table and dead in every other way. Each is noticed,
 * killed and replaced; meanwhile requests that are not inside it go elsewhere.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { describe, judge } from "../../src/drill/blame.ts";
import { wallMs } from "../../src/drill/load/load.ts";
import {
  agent,
  broker,
  controller,
  heart,
  instance,
  kernel,
  router,
  type Victim,
} from "../../src/drill/victims.ts";
import { identify } from "../../src/os/proc.ts";
import { times } from "../length.ts";
import { Report } from "./report.ts";
import { type Stage, setStage } from "./stage.ts";

const limitMs = 300_000;
const report = new Report();
let stage: Stage;

beforeAll(async () => {
  stage = await setStage(150);
}, 300_000);

afterAll(async () => {
  report.print("Stopped (SIGSTOP) under load: 150 requests/s, 4 instances with a health check");
  await stage?.[Symbol.asyncDispose]();
}, 300_000);

const claims: readonly (readonly [Victim, string])[] = [
  [instance, "POSTs that were sent to it before it was noticed"],
  [router, "what was sent to it before it was replaced"],
  [broker, "no request"],
  [controller, "no request"],
  [agent, "no request, and no instance"],
  [kernel, "no request, and no instance"],
  [heart, "no request"],
];

for (const [victim, cost] of claims) {
  test(
    `a stopped ${victim.name} is replaced and costs at most: ${cost}`,
    async () => {
      for (let round = 0; round < times(1, 10); round++) await stop(victim, round);
    },
    limitMs,
  );
}

test(
  "no POST ran twice, and none that was answered was lost",
  async () => {
    expect(await stage.audit()).toEqual([]);
  },
  limitMs,
);

async function stop(victim: Victim, round: number): Promise<void> {
  const before = await stage.rested();
  await stage.take();
  const [pid = 0] = victim.choose(before, round);
  const identity = identify(pid);
  const stoppedAt = wallMs();
  process.kill(pid, "SIGSTOP");
  while (identify(pid)?.startTime === identity?.startTime) {
    if (wallMs() - stoppedAt > 30_000) {
      process.kill(pid, "SIGCONT");
      throw new Error(`a stopped ${victim.name} was left alone for 30 s`);
    }
    await Bun.sleep(5);
  }
  const goneAt = wallMs();
  const after = await stage.whole([pid]);
  const backMs = wallMs() - stoppedAt;
  await Bun.sleep(300);
  const summary = await stage.take();
  report.add(victim.name, { requests: summary.requests, failed: summary.failures.length, backMs });
  const { unexcused } = judge(summary.failures, victim.costs, stoppedAt, goneAt);
  expect(unexcused.map((failure) => describe(failure, stoppedAt))).toEqual([]);
  const lost = before.instances.filter(
    (one) => one.pid !== pid && !after.instances.some((now) => now.pid === one.pid),
  );
  expect(lost.map((one) => `${one.name} was restarted`)).toEqual([]);
}
