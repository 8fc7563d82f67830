import { expect, test } from "bun:test";
import { FakeClock } from "../std/fake-clock.ts";
import { Alarm, Wheel } from "./timers.ts";

const tickMs = 10;

test("an alarm rings once, not before its time and at most two ticks after it", async () => {
  const clock = new FakeClock();
  using wheel = new Wheel(clock, tickMs);
  for (const ms of [1, 10, 99, 1_000, 12_345, 75_000]) {
    const rung: number[] = [];
    const start = clock.now();
    const alarm = new Alarm(() => void rung.push(clock.now() - start));
    wheel.set(alarm, ms);
    await clock.advance(ms + 3 * tickMs);
    expect(rung.length).toBe(1);
    expect(rung[0]!).toBeGreaterThanOrEqual(ms);
    expect(rung[0]!).toBeLessThanOrEqual(ms + 2 * tickMs);
    await clock.advance(500);
    expect(rung.length).toBe(1);
  }
});

test("setting it again replaces the deadline, to later and to sooner", async () => {
  const clock = new FakeClock();
  using wheel = new Wheel(clock, tickMs);
  let rung = 0;
  const alarm = new Alarm(() => rung++);
  wheel.set(alarm, 100);
  await clock.advance(80);
  wheel.set(alarm, 100);
  await clock.advance(90);
  expect(rung).toBe(0);
  await clock.advance(40);
  expect(rung).toBe(1);
  wheel.set(alarm, 10_000);
  wheel.set(alarm, 50);
  await clock.advance(80);
  expect(rung).toBe(2);
});

test("a cleared alarm does not ring, and one that an alarm removes does not either", async () => {
  const clock = new FakeClock();
  using wheel = new Wheel(clock, tickMs);
  let rung = "";
  const late = new Alarm(() => (rung += "late"));
  const first = new Alarm(() => {
    rung += "first";
    wheel.remove(late);
  });
  const cleared = new Alarm(() => (rung += "cleared"));
  const last = new Alarm(() => (rung += " last"));
  for (const alarm of [first, late, cleared, last]) wheel.set(alarm, 50);
  wheel.clear(cleared);
  await clock.advance(200);
  expect(rung).toBe("first last");
});

test("an alarm may set itself again, and others, while it rings", async () => {
  const clock = new FakeClock();
  using wheel = new Wheel(clock, tickMs);
  let rung = 0;
  const other = new Alarm(() => (rung += 100));
  const self: Alarm = new Alarm(() => {
    rung++;
    wheel.set(other, 30);
    if (rung < 3) wheel.set(self, 20);
  });
  wheel.set(self, 20);
  await clock.advance(1_000);
  expect(rung).toBe(103);
});

test("ten thousand alarms cost one timer", async () => {
  const clock = new FakeClock();
  using wheel = new Wheel(clock, tickMs);
  let rung = 0;
  for (let i = 0; i < 10_000; i++) wheel.set(new Alarm(() => rung++), i);
  expect(clock.waiting).toBe(1);
  await clock.advance(10_100);
  expect(rung).toBe(10_000);
});
