import { expect, test } from "bun:test";
import { Brake } from "./brake.ts";

/** Instances that do one request after another, in virtual time, behind two routers. */
interface World {
  readonly instances: number;
  /** How long a request occupies its instance. */
  readonly workMs: number;
  /** How long it waits for something behind the app, with any number of others. */
  delayMs(at: number): number;
  /** Requests a second at a time. */
  rate(at: number): number;
  /** How many times as long everything takes at a time; 1 by default. */
  slowness?(at: number): number;
  readonly seed?: number;
  /** This share of the requests is held for long, on purpose, and occupies nobody. */
  readonly heldShare?: number;
  /** When the instances are new ones. */
  readonly changedAt?: number;
  /** Of the requests, what comes to the first router; half by default. */
  readonly firstShare?: number;
}

interface Second {
  admitted: number;
  refused: number;
  /** Times of the admitted. */
  readonly times: number[];
}

const quickShare = 0.05;
const heldMs = 15_000;

/** Requests come a little irregularly, always the same way. */
function run(world: World, seconds: number): readonly Second[] {
  const freeAt = new Array<number>(world.instances).fill(0);
  const routers = [1, 2].map(() => new Brake(0));
  const ends: { from: number; at: number; ms: number; router: Brake }[] = [];
  const told: Second[] = Array.from({ length: seconds }, () => ({ admitted: 0, refused: 0, times: [] }));
  let changeAt = world.changedAt ?? Number.POSITIVE_INFINITY;
  let seed = world.seed ?? 1;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  for (let now = 0; now < seconds * 1_000; now += (1_000 / world.rate(now)) * 2 * random()) {
    ends.sort((a, b) => a.at - b.at);
    while (ends[0] !== undefined && ends[0].at <= now) {
      const { from, at, ms, router } = ends.shift()!;
      router.inside.leave(from);
      router.answered(at, ms, world.instances);
    }
    if (now >= changeAt) {
      for (const brake of routers) brake.changed();
      changeAt = Number.POSITIVE_INFINITY;
    }
    const second = told[Math.floor(now / 1_000)]!;
    const router = routers[random() < (world.firstShare ?? 0.5) ? 0 : 1]!;
    router.inside.enter(now);
    if (router.inside.count > router.limit) {
      second.refused++;
      router.refused(now);
      router.inside.leave(now);
      continue;
    }
    // A few are answered without any work, in whatever queue the others stand.
    if (random() < quickShare) {
      ends.push({ from: now, at: now + 1, ms: 1, router });
      continue;
    }
    if (world.heldShare !== undefined && random() < world.heldShare) {
      ends.push({ from: now, at: now + heldMs, ms: heldMs, router });
      continue;
    }
    const first = freeAt.indexOf(Math.min(...freeAt));
    const startAt = Math.max(now, freeAt[first]!);
    const doneAt = startAt + world.workMs * (world.slowness?.(startAt) ?? 1);
    freeAt[first] = doneAt;
    const ms = doneAt + world.delayMs(now) - now;
    ends.push({ from: now, at: now + ms, ms, router });
    second.admitted++;
    second.times.push(ms);
  }
  return told;
}

const refusals = (seconds: readonly Second[]) => seconds.reduce((sum, one) => sum + one.refused, 0);
const p99 = (second: Second) =>
  second.times.toSorted((a, b) => a - b)[Math.floor(second.times.length * 0.99)]!;
const quick = { instances: 3, workMs: 5, delayMs: () => 0 };

test("ten times the load: what is admitted takes little longer than before, nearly all of the capacity is used", () => {
  const told = run({ ...quick, rate: (at) => (at >= 10_000 && at < 30_000 ? 1_500 : 150) }, 40);
  expect(refusals(told.slice(0, 10))).toBe(0);
  for (const second of told.slice(12, 30)) {
    expect(p99(second)).toBeLessThan(p99(told[8]!) + 25);
    expect(second.admitted).toBeGreaterThan(0.85 * 600);
    expect(second.refused).toBeGreaterThan(700);
  }
  expect(refusals(told.slice(31))).toBe(0);
});

test("a crowd that waits for its answers before it asks again is shed too", () => {
  // Five hundred at once, and each again as soon as it has its answer: as many as they can do, and none more inside.
  const told = run(
    { ...quick, rate: (at) => (at < 5_000 ? 150 : at < 5_100 ? 5_000 : at < 8_000 ? 600 : 1_500) },
    16,
  );
  for (const second of told.slice(12)) expect(p99(second)).toBeLessThan(40);
});

test("it is shed within the first second", () => {
  const told = run({ ...quick, rate: (at) => (at >= 5_000 ? 1_500 : 150) }, 7);
  expect(told[5]!.refused).toBeGreaterThan(100);
});

test("load that the instances can take is never shed, however it changes", () => {
  const rate = (at: number) => (Math.floor(at / 2_000) % 2 === 0 ? 20 : 480);
  expect(refusals(run({ ...quick, rate }, 60))).toBe(0);
});

test("something behind the app that becomes slow is taken for a queue for a moment, by each router once", () => {
  const told = run(
    { ...quick, delayMs: (at) => (at > 10_000 ? 300 + ((at * 7_919) % 200) : 0), rate: () => 400 },
    60,
  );
  expect(told.filter((second) => second.refused > 0).length).toBeLessThanOrEqual(4);
  expect(refusals(told)).toBeLessThan(0.01 * 60 * 400);
});

test("an app that was always slow is not shed", () => {
  const told = run(
    { ...quick, delayMs: (at) => 300 + (at % 7) * 20, rate: (at) => (at > 5_000 ? 550 : 50) },
    30,
  );
  expect(refusals(told)).toBe(0);
});

test("requests that are held on purpose are no queue, however many there are", () => {
  let turn = 0;
  // Every other one is answered when something has happened.
  const delayMs = (at: number) => (turn++ % 2 === 0 ? 30 + (at % 1_900) : 30_000);
  expect(refusals(run({ ...quick, delayMs, rate: (at) => 50 + at / 200 }, 30))).toBe(0);
});

test("after a pause, what has piled up is not shed", () => {
  const delayMs = (at: number) => (at > 10_000 && at < 11_000 ? 11_000 - at : 0);
  expect(refusals(run({ ...quick, delayMs, rate: () => 300 }, 20))).toBe(0);
});

test("what waited for new instances is not shed, nor what waits while they are still slow", () => {
  const rate = (at: number) => (at > 10_000 && at < 10_600 ? 1_500 : 200);
  const slowness = (at: number) => (at > 10_000 && at < 12_000 ? 3 : 1);
  expect(refusals(run({ ...quick, rate, slowness }, 20))).toBeGreaterThan(0);
  expect(refusals(run({ ...quick, rate, slowness, changedAt: 10_000 }, 20))).toBe(0);
});

test("a machine that is slow for some seconds at the usual load costs no request", () => {
  // As when all brokers and workers start at once: two thirds of what comes is answered meanwhile.
  const slowness = (at: number) => (at > 20_000 && at < 23_500 ? 40 : 1);
  for (let seed = 1; seed <= 10; seed++) {
    const told = run({ ...quick, workMs: 1, seed, rate: () => 105, slowness }, 40);
    expect(Math.max(...told.slice(20, 26).map(p99))).toBeGreaterThan(600);
    expect(refusals(told)).toBe(0);
  }
});

test("instances that can no longer do the usual load are not left with it for longer than twenty seconds", () => {
  for (const factor of [2, 3, 5]) {
    const slowness = (at: number) => (at > 20_000 ? factor : 1);
    const told = run({ ...quick, rate: () => 400, slowness }, 60);
    expect(refusals(told.slice(0, 22))).toBe(0);
    for (const second of told.slice(40)) {
      expect(p99(second)).toBeLessThan(150);
      expect(second.admitted).toBeGreaterThan((0.8 * 600) / factor);
    }
  }
});

test("instances that came just before it keep ten times the load from being shed for some seconds only", () => {
  const told = run({ ...quick, changedAt: 9_000, rate: (at) => (at >= 10_000 ? 1_500 : 150) }, 40);
  for (const second of told.slice(20)) expect(p99(second)).toBeLessThan(p99(told[8]!) + 25);
});

test("instances that come while ten times the load does, on a machine that is slow, do not leave a queue that stays", () => {
  for (let seed = 1; seed <= 3; seed++) {
    const told = run(
      {
        ...quick,
        seed,
        instances: 2,
        changedAt: 10_200,
        rate: (at) => (at > 10_000 ? 1_000 : 100),
        slowness: (at) => (at > 10_000 && at < 13_000 ? 8 : 1),
      },
      45,
    );
    for (const second of told.slice(35)) expect(p99(second)).toBeLessThan(60);
  }
});

test("a machine that is slow for moments under overload lets no queue grow, and does not make slow answers usual", () => {
  for (const [factor, forMs] of [
    [3, 500],
    [5, 1_000],
    [8, 2_000],
    [4, 3_000],
    [20, 200],
  ] as const)
    for (const from of [15_000, 15_300, 15_700, 20_050]) {
      const slowness = (at: number) => (at > from && at < from + forMs ? factor : 1);
      const told = run({ ...quick, slowness, rate: (at) => (at >= 10_000 && at < 50_000 ? 1_500 : 150) }, 52);
      for (const second of told.slice(12, 50)) expect(p99(second)).toBeLessThan(p99(told[8]!) + 60 * factor);
      for (const second of told.slice(30, 50)) {
        expect(p99(second)).toBeLessThan(p99(told[8]!) + 25);
        expect(second.admitted).toBeGreaterThan(0.85 * 600);
      }
    }
});

test("instances that become slow in the very moment of the first test do not make a queue usual", () => {
  for (const instances of [2, 3]) {
    for (const from of [10_500, 10_800]) {
      for (const factor of [1.6, 2]) {
        const slowness = (at: number) => (at > from ? factor : 1);
        const rate = (at: number) => (at > 10_000 ? 1_000 : 100);
        const told = run({ ...quick, instances, firstShare: 0.675, rate, slowness }, 40);
        for (const second of told.slice(20)) expect(p99(second)).toBeLessThan(90);
      }
    }
  }
});

test("a machine that stays slow under overload does what it can, and no queue grows", () => {
  const slowness = (at: number) => (at > 15_000 ? 4 : 1);
  const told = run({ ...quick, slowness, rate: (at) => (at >= 10_000 ? 1_500 : 100) }, 50);
  for (const second of told.slice(16)) {
    expect(p99(second)).toBeLessThan(200);
    expect(second.admitted).toBeGreaterThan(0.85 * 150);
  }
});

test("something behind the app that becomes slow under overload costs a share of the answers for a while", () => {
  const delayMs = (at: number) => (at > 20_000 && at < 35_000 ? 300 + ((at * 7_919) % 100) : 0);
  const told = run({ ...quick, delayMs, rate: (at) => (at >= 10_000 ? 1_500 : 150) }, 50);
  const admitted = told.slice(27, 35).reduce((sum, second) => sum + second.admitted, 0) / 8;
  expect(admitted).toBeGreaterThan(0.4 * 600);
  for (const second of told.slice(40)) {
    expect(p99(second)).toBeLessThan(p99(told[8]!) + 40);
    expect(second.admitted).toBeGreaterThan(0.85 * 600);
  }
});

test("requests that are held on purpose do not take the place of the others under overload", () => {
  for (const heldShare of [0.001, 0.003]) {
    const told = run({ ...quick, heldShare, rate: (at) => (at >= 10_000 && at < 70_000 ? 1_500 : 150) }, 72);
    for (const second of told.slice(12, 70)) expect(p99(second)).toBeLessThan(p99(told[8]!) + 60);
    const admitted = told.slice(12, 70).map((one) => one.admitted);
    expect(admitted.reduce((sum, one) => sum + one, 0) / admitted.length).toBeGreaterThan(0.8 * 600);
  }
});

test("what answers take after a cold start is forgotten within seconds, before ten times the load comes", () => {
  for (const seed of [1, 2]) {
    const slowness = (at: number) => (at < 3_000 ? 4 : 1);
    const rate = (at: number) => (at < 1_000 ? 600 : at < 15_000 ? 100 : 1_000);
    const told = run({ instances: 2, workMs: 6, delayMs: () => 0, seed, changedAt: 0, slowness, rate }, 60);
    for (const second of told.slice(18)) {
      expect(p99(second)).toBeLessThan(60);
      expect(second.admitted).toBeGreaterThan(0.85 * 333);
    }
  }
});
