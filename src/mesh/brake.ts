/**
 * How many requests of an app a router lets in at once while the app's instances have more than they can do; pure
 * arithmetic over numbers of its own, so that a request costs a few comparisons and no memory.
 *
 * A queue behind the router shows in this: for some time the answers (their median) take far longer than in better
 * times; as many requests are inside as came in that time (Little's law); and they become more. An app that holds
 * requests for long on purpose, one that has to catch up after a pause, and one that was always slow do not look like
 * that, and are never shed. Just after instances came or went it has to grow for two seconds: what waited for them comes
 * all at once then, and new ones are slow at first. And when no more requests come than were answered well until then,
 * it is what answers them that has become slow, which mostly passes: that has ten seconds to end.
 *
 *   calm → (it looks like a queue) → testing: half of what was inside may be inside
 *   testing → (answers became quicker) → testing again: as much as takes little longer than usual may be inside
 *   testing → (nearly as quick as usual) → braking: the limit follows the answers
 *   testing, braking → (fewer made it no quicker: something behind the app is slow) → braking as a probe: that time is
 *             taken for the usual one, and the limit doubles as long as that makes nothing slower; when it soon does, it was
 *             a queue after all, of a machine that was slow for a moment, and usual is what was usual before. (When
 *             far more come than usual, it is tested again before, and what was not tried out is not believed.)
 *   braking → (now and then) → looking, for a moment, whether far fewer are quicker than what is taken for usual → braking
 *   braking → (nobody was refused for a second) → calm
 *
 * So the limit is lifted only where nobody needs it, whatever the machine does meanwhile.
 */
import { Inside } from "./inside.ts";

const windowMs = 100;
/** A window goes on until so many answers were seen: fewer say nothing. */
const samplesMin = 10;
/** Of the last so many answers of a window the median is taken: some are quick in any queue, from a cache. */
const samplesKept = 16;
/** When answers take longer, they were held on purpose. */
const suspectMsMax = 20_000;
/** The time of answers, over the usual one, at which a queue is suspected. */
const suspect = { factor: 2, ms: 20 } as const;
/** The time of answers that the limit aims at: some requests wait for another one, so that no instance idles. */
const aim = { factor: 1.15, ms: 2 } as const;
/** For each routable instance: with fewer inside, nothing is a queue; fewer are one when far more come than usual. */
const insideMin = { usually: 15, surely: 6 } as const;
/** So many windows in a row look like a queue, and by so much the requests inside have become more, or the most there may be. */
const windowsMin = 3;
const growthMin = 1.5;
/** Requests come at so many times the usual rate when it is they that make the queue; twice comes when another router died. */
const more = { surely: 2.5, perhaps: 1.5 } as const;
/**
 * Otherwise what looks like a queue has so long to pass, unless whoever comes now would have to wait for so long; it is
 * left alone while it becomes less.
 */
const patience = { ms: 10_000, waitMs: 8_000 } as const;
/** In this time the usual rate follows that of the requests. */
const rateMs = 2_000;
/** What looks like one for so long and does not become less, is put to the test though it does not grow. */
const longMs = 2_000;
const steadyMin = 0.9;
/** Of what is inside, the share that must have come in that time. */
const explainedMin = 0.5;
/** After the test began, the answers of a real queue take at most this share of what they took. */
const shrunkMax = 0.8;
/** Windows without a refusal until all is as before. */
const quietWindows = 10;
/** So many tests more when answers became no quicker, though surely it is a queue. */
const doubtsMax = 2;
/** The limit's least, beside one for each instance. */
const limitMin = 2;
/** Whoever is inside for so much longer than answers take does not stand in a queue. */
const parkedFactor = 4;
const parkedMsMin = 1_000;
/** So long without answers enough to judge by, while requests are refused, and the limit is raised. */
const jammedMs = 2_000;
/** Windows at the least limit until it is believed that this is no queue. */
const lowestWindows = 3;
/** After the instances changed, what looks like a queue in this time has to grow for `longMs`. */
const settlingMs = 5_000;
/** The limit of a probe grows by this factor, as often as answers turn out to be as quick as is taken for usual. */
const probeGrowth = 2;
/** A probe that had to stop before the limit was so many times what it began with, found a queue. */
const probeMin = 4;
/** How often it is looked, while braking, how long answers take with only this share inside: by all routers at once. */
const lookMs = { usually: 5_000, whileLower: 1_000 } as const;
const lookShare = 0.25;
const lowerMax = 0.9;
/** By this share of the difference the usual time follows with each window: quickly to what is better. */
const following = { farDown: 0.5, down: 0.1, up: 1 / 300 } as const;

export class Brake {
  /** Requests of the app that may be inside at once. */
  limit: number = Number.POSITIVE_INFINITY;
  /** What answers usually take; infinite before the first window. */
  usualMs: number = Number.POSITIVE_INFINITY;
  /** Requests that wait for an instance, or for the beginning of its answer. */
  readonly inside = new Inside();
  #phase: "calm" | "testing" | "braking" | "looking" = "calm";
  #windowAt = -1;
  #samples = 0;
  readonly #times = new Float64Array(samplesKept);
  #refused = 0;
  #insideBefore = 0;
  /** Of those inside, so many are held on purpose: in a queue their turn would have come. */
  #parked = 0;
  /** Requests a millisecond while answers are as usual; 0 before the first window. */
  #usualRate = 0;
  /** Windows in a row that looked like a queue, since when, how many came in them, what was inside at the first and at most. */
  #streak = 0;
  #streakAt = 0;
  #came = 0;
  #insideThen = 0;
  #insideMost = 0;
  /** So many more requests than usual came that it is a queue, whatever one test says; and how many tests may still say so. */
  #isSure = false;
  #doubts = 0;
  /** The longest that answers took in the test. */
  #peakMs = 0;
  #heldAt = -1;
  #quiet = 0;
  /** Windows in a row with the lowest limit that did not help. */
  #lowest = 0;
  #isChanged = false;
  #settledAt = 0;
  /** The limit when a time was taken for the usual one, while that is tried; and what was usual until then. */
  #probedFrom = 0;
  #formerMs = 0;
  /** When the last look began, how often there is one, and the limit before it. */
  #lookedAt = 0;
  #everyMs: number = lookMs.usually;
  #lookedFrom = 0;
  readonly #originMs: number;

  /** `originMs` is the wall clock's time, in Unix milliseconds, at which `now` was 0. */
  constructor(originMs: number) {
    this.#originMs = originMs;
  }

  /** Other instances than before get the requests, from now on. */
  changed(): void {
    this.#isChanged = true;
  }

  /** A request was refused at `now` because too many are inside; it is still among them. */
  refused(now: number): void {
    this.#refused++;
    if (this.#phase === "calm" || now - this.#windowAt < jammedMs) return;
    const inside = this.inside.count - 1;
    // Nobody is answered, and nobody is let in: whoever is inside is held there on purpose.
    this.limit = inside + limitMin;
    this.#windowAt = this.#heldAt = now;
    this.#insideBefore = inside;
    this.#samples = this.#refused = 0;
  }

  /** A request was answered by an instance, at `now`, after `ms`, and is inside no more; there are so many routable ones. */
  answered(now: number, ms: number, routable: number): void {
    this.#times[this.#samples++ % samplesKept] = ms;
    const lengthMs = now - this.#windowAt;
    if (lengthMs < windowMs || this.#samples < samplesMin) return;
    const tookMs = this.#medianMs();
    const inside = this.inside.count;
    this.#parked = this.inside.countUntil(now - Math.max(parkedMsMin, tookMs * parkedFactor), now);
    if (this.#windowAt >= 0) {
      const letIn = this.#samples + inside - this.#insideBefore;
      this.#judge(now, tookMs, letIn, inside, Math.max(1, routable));
    }
    this.#windowAt = now;
    this.#insideBefore = inside;
    this.#samples = 0;
    this.#refused = 0;
  }

  /** Sorts what is kept in its place. */
  #medianMs(): number {
    const times = this.#times;
    const count = Math.min(this.#samples, samplesKept);
    for (let at = 1; at < count; at++) {
      const ms = times[at]!;
      let to = at;
      for (; to > 0 && times[to - 1]! > ms; to--) times[to] = times[to - 1]!;
      times[to] = ms;
    }
    return times[Math.floor(count / 2)]!;
  }

  #judge(now: number, tookMs: number, letIn: number, inside: number, routable: number): void {
    if (this.#isChanged) this.#settledAt = now + settlingMs;
    this.#isChanged = false;
    switch (this.#phase) {
      case "calm":
        return this.#suspect(now, tookMs, letIn, inside, routable);
      case "testing":
        return this.#test(now, tookMs, inside);
      case "braking":
        return this.#steer(now, tookMs, inside, routable);
      case "looking":
        return this.#see(now, tookMs, inside);
    }
  }

  #suspect(now: number, tookMs: number, letIn: number, inside: number, routable: number): void {
    const { usualMs } = this;
    if (usualMs === Number.POSITIVE_INFINITY) this.usualMs = tookMs;
    else if (tookMs < usualMs)
      this.usualMs += (tookMs - usualMs) * (tookMs < usualMs / 2 ? following.farDown : following.down);
    const isSlow = tookMs > usualMs * suspect.factor + suspect.ms && tookMs < suspectMsMax;
    const lengthMs = now - this.#windowAt;
    const explained = (letIn / lengthMs) * tookMs;
    const rate = (letIn + this.#refused) / lengthMs;
    if (!isSlow) this.#learnRate(rate, lengthMs);
    const least = rate > this.#usualRate * more.surely ? insideMin.surely : insideMin.usually;
    if (!isSlow || inside < least * routable || explained < inside * explainedMin) {
      this.#streak = 0;
      // What may be a queue is not learnt from.
      if (tookMs > usualMs) this.usualMs += (tookMs - usualMs) * following.up;
      return;
    }
    if (this.#streak++ === 0) this.#begin(inside);
    this.#came += letIn + this.#refused;
    this.#insideMost = Math.max(this.#insideMost, inside);
    if (!this.#isQueue(now, inside)) return;
    this.#doubts = doubtsMax;
    this.#hold(this.#shrink(Math.min(this.limit, inside), 0.5), tookMs);
  }

  #learnRate(rate: number, lengthMs: number): void {
    const share = this.#usualRate === 0 ? 1 : Math.min(1, lengthMs / rateMs);
    this.#usualRate += (rate - this.#usualRate) * share;
  }

  #begin(inside: number): void {
    this.#streakAt = this.#windowAt;
    this.#came = 0;
    this.#insideThen = this.#insideMost = inside;
  }

  #isQueue(now: number, inside: number): boolean {
    const sinceMs = now - this.#streakAt;
    const rate = this.#came / sinceMs;
    const stays = inside >= this.#insideMost * steadyMin;
    const waitMs = (inside / this.#samples) * (now - this.#windowAt);
    const mayPass = !stays || (sinceMs < patience.ms && waitMs < patience.waitMs);
    if (mayPass && rate < this.#usualRate * more.perhaps) return false;
    const isSettling = now < this.#settledAt;
    const grows = this.#refused > 0 || inside >= this.#insideThen * growthMin;
    this.#isSure = rate > this.#usualRate * more.surely;
    if (this.#isSure && !isSettling && grows && this.#streak >= windowsMin) return true;
    return sinceMs >= longMs && (grows || (stays && !isSettling));
  }

  get #aimMs(): number {
    return this.usualMs * aim.factor + aim.ms;
  }

  /** This share of those inside, beside those that are held on purpose. */
  #shrink(inside: number, share: number): number {
    return this.#parked + Math.max(0, inside - this.#parked) * share;
  }

  #lowestOf(routable: number): number {
    return Math.ceil(this.#parked) + Math.max(routable, limitMin);
  }

  #hold(limit: number, tookMs: number): void {
    this.#phase = "testing";
    this.limit = Math.max(limitMin, Math.ceil(limit));
    this.#peakMs = tookMs;
    this.#heldAt = -1;
  }

  /** Whether those that were answered in this window came in under the limit that is in force now. */
  #isHeld(now: number, tookMs: number, inside: number): boolean {
    if (this.#heldAt < 0) {
      if (inside <= this.limit) this.#heldAt = now;
      return false;
    }
    return this.#windowAt - this.#heldAt >= tookMs;
  }

  #test(now: number, tookMs: number, inside: number): void {
    this.#peakMs = Math.max(this.#peakMs, tookMs);
    if (!this.#isHeld(now, tookMs, inside)) return;
    if (tookMs > this.#peakMs * shrunkMax) {
      // Whoever answers may have become slow in the same moment.
      if (this.#isSure && this.#doubts-- > 0) return this.#hold(this.#shrink(inside, 0.5), tookMs);
      return this.#probe(now, tookMs);
    }
    // A queue, then; the time is as long as what is inside.
    if (tookMs > 2 * this.#aimMs) return this.#hold(this.#shrink(inside, this.#aimMs / tookMs), tookMs);
    this.#brake(now);
  }

  #brake(now: number): void {
    this.#phase = "braking";
    this.#quiet = this.#lowest = this.#probedFrom = 0;
    this.#lookedAt = now;
    this.#everyMs = lookMs.usually;
  }

  #steer(now: number, tookMs: number, inside: number, routable: number): void {
    this.#quiet = this.#refused > 0 ? 0 : this.#quiet + 1;
    if (this.#quiet >= quietWindows) return this.#release();
    if (!this.#isHeld(now, tookMs, inside)) return;
    const lowest = this.#lowestOf(routable);
    if (tookMs > this.#aimMs) this.#slow(now, tookMs, lowest);
    else if (this.#isLookDue(now)) this.#look(now, lowest);
    else this.#grow(now, tookMs);
  }

  /** With as many inside as may be, answers take too long. */
  #slow(now: number, tookMs: number, lowest: number): void {
    if (this.#probedFrom > 0 && this.limit < this.#probedFrom * probeMin) this.usualMs = this.#formerMs;
    this.#probedFrom = 0;
    if (this.limit > lowest) {
      this.#lowest = 0;
      this.limit = Math.max(lowest, this.#shrink(this.limit, Math.max(0.5, this.#aimMs / tookMs)));
      this.#heldAt = -1;
      return;
    }
    // With so few inside there is no queue: this is how long answers take.
    const isStuck = tookMs > this.usualMs * suspect.factor + suspect.ms;
    this.#lowest = isStuck ? this.#lowest + 1 : 0;
    if (this.#lowest >= lowestWindows) this.#probe(now, tookMs);
  }

  /** With as many inside as may be, answers are quick enough. */
  #grow(now: number, tookMs: number): void {
    this.#lowest = 0;
    if (this.#refused === 0) return;
    if (this.#probedFrom === 0) {
      this.limit += 1 + this.limit * 0.05;
      // What that does shows as late as the answers are.
      if (tookMs > windowMs) this.#heldAt = now;
      return;
    }
    this.usualMs = Math.min(this.usualMs, tookMs);
    this.limit *= probeGrowth;
    this.#heldAt = now;
  }

  /** Takes the time for the usual one, as long as more inside do not make it longer. */
  #probe(now: number, tookMs: number): void {
    this.#brake(now);
    this.#everyMs = lookMs.whileLower;
    this.#formerMs = this.usualMs;
    this.usualMs = tookMs;
    this.#probedFrom = this.limit;
    this.limit *= probeGrowth;
    this.#heldAt = now;
  }

  /** By the wall clock, so that all routers look at once: what one of them leaves out, the others must not fill. */
  #isLookDue(now: number): boolean {
    if (this.#probedFrom > 0 || this.#refused === 0) return false;
    const slotOf = (at: number) => Math.floor((at + this.#originMs) / this.#everyMs);
    return slotOf(now) > slotOf(this.#lookedAt);
  }

  #look(now: number, lowest: number): void {
    this.#phase = "looking";
    this.#lookedAt = now;
    this.#lookedFrom = this.limit;
    this.limit = Math.max(lowest, this.#shrink(this.limit, lookShare));
    this.#heldAt = -1;
  }

  #see(now: number, tookMs: number, inside: number): void {
    if (!this.#isHeld(now, tookMs, inside)) return;
    this.#everyMs = tookMs < this.usualMs * lowerMax ? lookMs.whileLower : lookMs.usually;
    this.usualMs = Math.min(this.usualMs, tookMs);
    this.#phase = "braking";
    this.limit = this.#lookedFrom;
    this.#heldAt = now;
  }

  #release(): void {
    // A probe that needed no more is no proof: others may have left it just what it asks for.
    if (this.#probedFrom > 0 && this.#isSure) this.usualMs = this.#formerMs;
    this.#phase = "calm";
    this.#streak = 0;
    this.limit = Number.POSITIVE_INFINITY;
  }
}
