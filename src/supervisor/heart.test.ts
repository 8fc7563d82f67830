import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { type Identity, identify, isAlive, signal } from "../os/proc.ts";
import { systemClock } from "../std/clock.ts";
import { advanceHeart, type Look, type Pulse } from "./heart.ts";
import { until } from "./puppet.ts";
import { type HeartEvent, startHeart } from "./supervisor.ts";
import { Yard } from "./yard.ts";

const kernel: Identity = { pid: 7, startTime: 70 };
const watching: Pulse = {
  kind: "watching",
  identity: kernel,
  since: 0,
  beat: { mark: 2n, changedAt: 10_000 },
  firstMark: 1n,
  failures: 0,
};
const look: Look = {
  now: 10_000,
  lateByMs: 0,
  chance: 0,
  mark: 2n,
  isAlive: true,
  found: undefined,
  isWanted: true,
};
const step = (pulse: Pulse, more: Partial<Look>) => advanceHeart(pulse, { ...look, ...more }, 2_000);

test("a death is followed by a start at once", () => {
  expect(step(watching, { isAlive: false }).act).toBe("start");
});

test("silence is followed by a kill, and nothing is started while the old one lives", () => {
  const killed = step(watching, { now: 12_000 });
  expect(killed).toMatchObject({ act: "kill", pulse: { kind: "killing", identity: kernel } });
  expect(step(killed.pulse, { now: 12_400 }).act).toBe("none");
  expect(step(killed.pulse, { now: 12_500 }).act).toBe("kill");
  expect(step(killed.pulse, { now: 12_600, isAlive: false }).act).toBe("start");
});

test("a heart that was itself late kills nobody for it", () => {
  expect(step(watching, { now: 20_000, lateByMs: 9_900 }).act).toBe("none");
});

test("one that has not beaten yet is given longer", () => {
  const young = { ...watching, firstMark: 2n };
  expect(step(young, { now: 19_999 }).act).toBe("none");
  expect(step(young, { now: 20_000 }).act).toBe("kill");
});

test("an orderly shutdown is not undone: no kill, no start", () => {
  expect(step(watching, { now: 60_000, isWanted: false }).act).toBe("none");
  expect(step(watching, { isAlive: false, isWanted: false }).act).toBe("none");
});

test("one that somebody else started is taken, not doubled", () => {
  const found = { pid: 8, startTime: 80 };
  expect(step(watching, { isAlive: false, found })).toMatchObject({
    act: "none",
    pulse: { kind: "watching", identity: found },
  });
});

test("one that dies young has to wait longer each time, one that lived does not", () => {
  const young = { ...watching, since: 9_500 };
  const first = step(young, { isAlive: false });
  expect(first).toMatchObject({ act: "none", pulse: { kind: "starting", failures: 1, notBefore: 10_100 } });
  const often = step({ ...young, failures: 9 }, { isAlive: false });
  expect(often.pulse).toMatchObject({ failures: 10, notBefore: 15_000 });
});

/** A process that beats and announces itself, like a kernel. */
async function watchReal(yard: Yard) {
  const beat = { path: yard.path("beat"), timeoutMs: 3_000 };
  const events: HeartEvent[] = [];
  const started: Identity[] = [];
  let wanted = true;
  const restart = async () => {
    for (const old of started) expect(isAlive(old)).toBe(false);
    const identity = yard.start("/bin/sh", ["-c", `while :; do touch ${beat.path}; sleep 0.05; done`]);
    started.push(identity);
    return identity;
  };
  const heart = startHeart({
    clock: systemClock,
    chance: () => 0,
    find: () => started.at(-1),
    beat,
    isWanted: () => wanted,
    restart,
    onEvent: (event) => events.push(event),
  });
  await until(() => existsSync(beat.path), "the first one beats");
  return { heart, events, started, abandon: () => void (wanted = false) };
}

test("a killed process is followed by exactly one, a hung one is killed first, and a shutdown is respected", async () => {
  await using yard = new Yard();
  const { heart, events, started, abandon } = await watchReal(yard);
  await systemClock.sleep(1_000);
  signal(started[0] as Identity, "SIGKILL");
  await until(() => started.length === 2, "a second one");
  await systemClock.sleep(300);
  signal(started[1] as Identity, "SIGSTOP");
  await until(() => started.length === 3, "a third one");
  expect(isAlive(started[1] as Identity)).toBe(false);
  expect(events.filter(({ kind }) => kind === "hung")).toMatchObject([{ pid: started[1]?.pid }]);
  abandon();
  signal(started[2] as Identity, "SIGKILL");
  await until(() => events.filter(({ kind }) => kind === "died").length === 3, "it is seen");
  await systemClock.sleep(100);
  expect(started).toHaveLength(3);
  await heart[Symbol.asyncDispose]();
});

test("a start that fails is tried again", async () => {
  await using yard = new Yard();
  let tries = 0;
  await using heart = startHeart({
    clock: systemClock,
    chance: () => 0,
    find: () => undefined,
    beat: { path: yard.path("beat") },
    isWanted: () => true,
    async restart() {
      if (++tries < 3) throw new Error("not yet");
      return identify(process.pid) as Identity;
    },
  });
  await until(() => tries === 3, "the third try");
  writeFileSync(yard.path("beat"), "");
  expect(heart).toBeDefined();
});
