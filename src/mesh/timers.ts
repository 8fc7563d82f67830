/**
 * Deadlines by the thousand: a wheel of slots, one timer for all. Setting a deadline further away, which is
 * what every request does, is one assignment: the alarm stays in its slot and moves when the slot comes up.
 */
import type { Clock } from "../std/clock.ts";

/** Something with a deadline. Made once for each connection, set again and again. */
export class Alarm {
  deadline: number = Number.POSITIVE_INFINITY;
  slotAt = 0;
  next: Alarm | null = null;
  previous: Alarm | null = null;
  readonly ring: () => void;

  constructor(ring: () => void) {
    this.ring = ring;
  }
}

const slotCount = 1_024;

export class Wheel implements Disposable {
  /** Now, as of the last tick: good enough for deadlines, and free. */
  time: number;
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #slots: Alarm[] = [];
  #swept: number;
  #timer: Disposable;

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.time = clock.now();
    this.#swept = Math.floor(this.time / tickMs);
    // Each slot is a ring around a sentinel, so that linking and unlinking know no special case.
    for (let i = 0; i < slotCount; i++) {
      const sentinel = new Alarm(() => {});
      sentinel.next = sentinel.previous = sentinel;
      this.#slots.push(sentinel);
    }
    this.#timer = clock.after(tickMs, () => this.#tick());
  }

  /** Rings once, `ms` from now; whatever was set before is void. */
  set(alarm: Alarm, ms: number): void {
    alarm.deadline = this.time + ms;
    const slotAt = Math.floor(alarm.deadline / this.#tickMs) + 1;
    if (alarm.next !== null) {
      if (alarm.slotAt <= slotAt) return;
      unlink(alarm);
    }
    this.#link(alarm, slotAt);
  }

  /** Does not ring. The alarm leaves the wheel when its slot comes up. */
  clear(alarm: Alarm): void {
    alarm.deadline = Number.POSITIVE_INFINITY;
  }

  /** Takes the alarm out now: for one that will not be set again. */
  remove(alarm: Alarm): void {
    alarm.deadline = Number.POSITIVE_INFINITY;
    if (alarm.next !== null) unlink(alarm);
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #link(alarm: Alarm, slotAt: number): void {
    alarm.slotAt = slotAt;
    const sentinel = this.#slots[slotAt % slotCount]!;
    alarm.next = sentinel;
    alarm.previous = sentinel.previous;
    sentinel.previous!.next = alarm;
    sentinel.previous = alarm;
  }

  #tick(): void {
    this.#timer = this.#clock.after(this.#tickMs, () => this.#tick());
    this.time = this.#clock.now();
    const now = Math.floor(this.time / this.#tickMs);
    // After a long pause every slot is due once, and only once.
    const first = Math.max(this.#swept + 1, now - slotCount + 1);
    this.#swept = now;
    for (let slot = first; slot <= now; slot++) this.#sweep(this.#slots[slot % slotCount]!, now);
  }

  #sweep(sentinel: Alarm, now: number): void {
    const due: Alarm[] = [];
    for (let alarm = sentinel.next!; alarm !== sentinel; alarm = alarm.next!) {
      if (alarm.slotAt <= now) due.push(alarm);
    }
    for (const alarm of due) unlink(alarm);
    for (const alarm of due) {
      // Ringing one may have set another anew.
      if (alarm.next !== null || alarm.deadline === Number.POSITIVE_INFINITY) continue;
      if (alarm.deadline > this.time) {
        this.#link(alarm, Math.floor(alarm.deadline / this.#tickMs) + 1);
      } else {
        alarm.deadline = Number.POSITIVE_INFINITY;
        alarm.ring();
      }
    }
  }
}

function unlink(alarm: Alarm): void {
  alarm.previous!.next = alarm.next;
  alarm.next!.previous = alarm.previous;
  alarm.next = alarm.previous = null;
}
