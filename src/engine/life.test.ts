import { expect, test } from "bun:test";
import { defaultLimits } from "../wire/records.ts";
import {
  advance,
  type Course,
  type Event,
  firstCourse,
  frozenLooksMax,
  type Life,
  nextTickAt,
  type Terms,
  toState,
} from "./life.ts";

const terms: Terms = {
  web: true,
  failures: 3,
  limits: { ...defaultLimits, bootTimeoutMs: 60_000, drainTimeoutMs: 20_000, graceMs: 10_000 },
  policy: { baseMs: 2_000, capMs: 900_000, jitter: 0.2, stableMs: 60_000 },
  mayReplace: () => true,
};

/** Plays events, each at its time, and tells the course and every act in order. */
function play(events: readonly (readonly [at: number, event: Event])[], from = firstCourse, as = terms) {
  let course: Course = from;
  const acts: string[] = [];
  for (const [at, event] of events) {
    const step = advance(course, event, as, at, 0);
    course = step.course;
    acts.push(...step.acts.map((act) => (act.do === "log" ? `log ${act.text}` : act.do)));
  }
  return { course, acts, life: course.life };
}

const status = (code: number) => ({ kind: "code", code }) as const;
const boot: readonly (readonly [number, Event])[] = [
  [0, { on: "launched" }],
  [100, { on: "ready" }],
];
const at = (life: Life, crashes = 0): Course => ({
  life,
  attempts: 1,
  cooloff: { crashes, startedAt: 0, nextAt: 0 },
});

test("a place is starting until it is ready, then up", () => {
  expect(toState(firstCourse.life)).toBe("starting");
  expect(play(boot.slice(0, 1)).life).toEqual({ kind: "starting", deadline: 60_000 });
  expect(play(boot)).toMatchObject({ life: { kind: "up" }, acts: [], course: { attempts: 1 } });
});

test("exit 0 is a crash, and the first one is answered at once, before the sweep", () => {
  const { course, acts } = play([...boot, [200, { on: "exited", status: status(0) }]]);
  expect(acts).toEqual(["log Process exited with status 0", "launch", "sweep"]);
  expect(course).toMatchObject({ life: { kind: "waiting" }, attempts: 1, cooloff: { crashes: 1 } });
});

test("the second crash in a row cools off, and is tried again when that is over", () => {
  const crash = [200, { on: "exited", status: status(1) }] as const;
  const second = play([
    ...boot,
    crash,
    [300, { on: "launched" }],
    [400, { on: "exited", status: status(1) }],
  ]);
  expect(second.life).toEqual({ kind: "crashed", tryAt: 2_300, reason: "exited with status 1" });
  expect(nextTickAt(second.life)).toBe(2_300);
  expect(play([[2_299, { on: "tick" }]], second.course).acts).toEqual([]);
  expect(play([[2_300, { on: "tick" }]], second.course)).toMatchObject({
    acts: ["launch"],
    life: { kind: "waiting" },
    course: { cooloff: { crashes: 2 }, attempts: 2 },
  });
});

test("a run that lasted longer than the cool-off has waited already", () => {
  const crash = [200, { on: "exited", status: status(1) }] as const;
  const late = [2_300, { on: "exited", status: status(1) }] as const;
  const second = play([...boot, crash, [300, { on: "launched" }], [400, { on: "ready" }], late]);
  expect(second).toMatchObject({ life: { kind: "waiting" }, course: { cooloff: { crashes: 2 } } });
});

test("a boot that is late is not a stable run, however late", () => {
  const once = play([...boot, [200, { on: "exited", status: status(1) }], [300, { on: "launched" }]]);
  const { course } = play(
    [
      [70_000, { on: "boot_timeout", reason: "x" }],
      [70_001, { on: "exited", status: status(137) }],
    ],
    once.course,
  );
  expect(course.cooloff.crashes).toBe(2);
});

test("a stable run forgets the crashes before it", () => {
  const looping = at({ kind: "up", failures: 0 }, 8);
  expect(play([[59_999, { on: "exited", status: status(1) }]], looping).course.cooloff.crashes).toBe(9);
  expect(play([[60_000, { on: "exited", status: status(1) }]], looping).course.cooloff.crashes).toBe(1);
});

test("a launch that fails counts as an attempt and as a crash", () => {
  const { course, acts } = play([[5, { on: "launch_failed", reason: "no such build" }]]);
  expect(course).toMatchObject({ attempts: 1, cooloff: { crashes: 1 }, life: { kind: "waiting" } });
  expect(acts).toEqual(["launch", "sweep"]);
});

test("a boot timeout kills with R10, and its exit counts as a crash with that reason", () => {
  const late = play([
    [0, { on: "launched" }],
    [60_000, { on: "boot_timeout", reason: "Web process listens on 3000, not on PORT 20011" }],
  ]);
  expect(late.acts).toEqual([
    "log Error R10 (Boot timeout) -> Web process listens on 3000, not on PORT 20011",
    "log Stopping process with SIGKILL",
    "kill",
  ]);
  expect(toState(late.life)).toBe("unhealthy");
  const dead = play([[60_001, { on: "exited", status: { kind: "signal", signal: "SIGKILL", number: 9 } }]], {
    ...late.course,
    cooloff: { crashes: 9, nextAt: 0 },
  });
  expect(dead.life).toMatchObject({ kind: "crashed", reason: expect.stringContaining("R10") });
});

test("health failures in a row kill; one success starts the count anew", () => {
  const fail: Event = { on: "probed", ok: false, reason: "503" };
  const pass: Event = { on: "probed", ok: true, reason: "" };
  expect(play([...boot, [1, fail], [2, fail], [3, pass], [4, fail], [5, fail]]).life.kind).toBe("up");
  expect(play([...boot, [1, fail], [2, fail], [3, fail]])).toMatchObject({
    life: { kind: "killed" },
    acts: [expect.stringContaining("R80"), expect.stringContaining("SIGKILL"), "kill"],
  });
});

test("without a health check a failed probe means nothing", () => {
  const deaf = { ...terms, failures: 0 };
  const fail: Event = { on: "probed", ok: false, reason: "503" };
  expect(play([...boot, [1, fail], [2, fail], [3, fail], [4, fail]], firstCourse, deaf).life.kind).toBe("up");
});

test("a frozen process is unhealthy at once, up again when it goes on, killed when it does not", () => {
  const frozen: Event = { on: "looked", frozen: true };
  expect(toState(play([...boot, [1, frozen]]).life)).toBe("unhealthy");
  expect(play([...boot, [1, frozen], [2, { on: "looked", frozen: false }]]).life.kind).toBe("up");
  const looks = Array.from({ length: frozenLooksMax }, (_, index): [number, Event] => [index + 1, frozen]);
  expect(play([...boot, ...looks.slice(1)]).life.kind).toBe("unhealthy");
  expect(play([...boot, ...looks]).acts.at(-1)).toBe("kill");
});

test("a web instance drains first, then SIGTERM, then after the grace R12 and SIGKILL", () => {
  const drain = play([...boot, [1_000, { on: "unwanted" }]]);
  expect(drain.life).toEqual({ kind: "draining", until: 21_000, after: "end" });
  const stop = play([[1_500, { on: "drained" }]], drain.course);
  expect(stop.acts).toEqual(["log Stopping all processes with SIGTERM", "stop"]);
  expect(stop.life).toEqual({ kind: "stopping", killAt: 11_500, killed: false, after: "end" });
  const killed = play([[11_500, { on: "tick" }]], stop.course);
  expect(killed.acts[0]).toContain("Error R12 (Exit timeout)");
  expect(killed.acts.at(-1)).toBe("kill");
  // SIGKILL may not have reached it: it is sent until it exits, and told of once.
  expect(nextTickAt(killed.life)).toBe(12_500);
  const again = play([[12_500, { on: "tick" }]], killed.course);
  expect(again.acts).toEqual(["kill"]);
  expect(nextTickAt(again.life)).toBe(13_500);
  const end = play([[11_501, { on: "exited", status: status(143) }]], killed.course);
  expect(end).toMatchObject({
    life: { kind: "gone" },
    acts: ["log Process exited with status 143", "sweep"],
  });
});

test("draining ends at its timeout when no router says that it is drained", () => {
  const drain = play([...boot, [1_000, { on: "unwanted" }]]);
  expect(play([[21_000, { on: "tick" }]], drain.course).life.kind).toBe("stopping");
});

test("what was never routed to does not drain: a worker, a starting instance", () => {
  const worker = { ...terms, web: false };
  expect(play([...boot, [1, { on: "unwanted" }]], firstCourse, worker).life.kind).toBe("stopping");
  expect(
    play([
      [0, { on: "launched" }],
      [1, { on: "unwanted" }],
    ]).life.kind,
  ).toBe("stopping");
});

test("an instance that dies while it drains is not started again", () => {
  const dead: Event = { on: "exited", status: status(0) };
  expect(play([...boot, [1, { on: "unwanted" }], [2, dead]]).life.kind).toBe("gone");
});

test("a crashed or waiting place that is not wanted is gone at once", () => {
  expect(play([[0, { on: "unwanted" }]]).life.kind).toBe("gone");
  const crashed = at({ kind: "crashed", tryAt: 9, reason: "" });
  expect(play([[0, { on: "unwanted" }]], crashed).life.kind).toBe("gone");
});

test("an instance that was killed as unhealthy and is then unwanted is not started again", () => {
  const killed = at({ kind: "killed", reason: "x", killAt: 1_000 });
  expect(play([[1_000, { on: "tick" }]], killed).acts).toEqual(["kill"]);
  const { life } = play(
    [
      [1, { on: "unwanted" }],
      [2, { on: "exited", status: status(137) }],
    ],
    killed,
  );
  expect(life.kind).toBe("gone");
});

test("a manual restart drains, stops, launches again and forgets the crashes", () => {
  const up = at({ kind: "up", failures: 0 }, 2);
  const { course, acts } = play(
    [
      [1, { on: "restart" }],
      [2, { on: "drained" }],
      [3, { on: "exited", status: status(143) }],
    ],
    up,
  );
  expect(acts.slice(-2)).toEqual(["sweep", "launch"]);
  expect(course).toMatchObject({ life: { kind: "waiting" }, cooloff: { crashes: 0 } });
});

test("a manual restart does not wait for the cool-off", () => {
  const crashed = at({ kind: "crashed", tryAt: 1e9, reason: "" }, 5);
  expect(play([[1, { on: "restart" }]], crashed)).toMatchObject({
    acts: ["launch"],
    course: { cooloff: { crashes: 0 } },
  });
});

test("unwanted while it restarts ends it", () => {
  const { life } = play([
    ...boot,
    [1, { on: "restart" }],
    [2, { on: "unwanted" }],
    [3, { on: "drained" }],
    [4, { on: "exited", status: status(0) }],
  ]);
  expect(life.kind).toBe("gone");
});

test("memory over twice the quota kills whatever runs, and nothing else", () => {
  expect(play([...boot, [1, { on: "memory_exceeded" }]]).acts[0]).toContain("R15");
  expect(play([[1, { on: "memory_exceeded" }]]).acts).toEqual([]);
});

test("what is late or twice changes nothing", () => {
  const gone = at({ kind: "gone" });
  const events: Event[] = [
    { on: "launched" },
    { on: "ready" },
    { on: "exited", status: status(0) },
    { on: "probed", ok: false, reason: "" },
    { on: "looked", frozen: true },
    { on: "drained" },
    { on: "unwanted" },
    { on: "tick" },
    { on: "boot_timeout", reason: "" },
  ];
  for (const event of events)
    expect(play([[1, event]], gone)).toMatchObject({ life: { kind: "gone" }, acts: [] });
});

test("while replacements are held, an instance that fails its checks stays, and is replaced once they are not", () => {
  let held = true;
  const holding = { ...terms, mayReplace: () => !held };
  let course: Course = { ...firstCourse, life: { kind: "up", failures: 0 } };
  const probe = () => {
    const step = advance(course, { on: "probed", ok: false, reason: "503" }, holding, 0, 0);
    course = step.course;
    return step.acts.map((act) => act.do);
  };
  for (let i = 0; i < 20; i++) expect(probe()).toEqual([]);
  expect(course.life.kind).toBe("up");
  held = false;
  expect(probe()).toContain("kill");
});
