/** How many requests wait for an app's instances, or for the beginning of their answers, and since when. */
const slotMs = 250;
/** Those that came before so many slots are counted together; a power of two. */
const slots = 64;

export class Inside {
  count = 0;
  readonly #bySlot = new Uint32Array(slots);
  #before = 0;
  #slot = 0;

  enter(at: number): void {
    const slot = this.#turnTo(at);
    this.count++;
    if (slot > this.#slot - slots) this.#bySlot[slot & (slots - 1)]!++;
    else this.#before++;
  }

  /** One that came at that time leaves. */
  leave(enteredAt: number): void {
    const slot = Math.floor(enteredAt / slotMs);
    this.count--;
    if (slot > this.#slot - slots) this.#bySlot[slot & (slots - 1)]!--;
    else this.#before--;
  }

  /** How many came at that time or before, to a quarter of a second; 16 seconds ago, when it is longer ago. */
  countUntil(at: number, now: number): number {
    this.#turnTo(now);
    const last = Math.floor(at / slotMs) - 1;
    let count = this.#before;
    for (let slot = this.#slot - slots + 1; slot <= last; slot++) count += this.#bySlot[slot & (slots - 1)]!;
    return count;
  }

  #turnTo(at: number): number {
    const slot = Math.floor(at / slotMs);
    for (let from = Math.max(this.#slot + 1, slot - slots + 1); from <= slot; from++) {
      this.#before += this.#bySlot[from & (slots - 1)]!;
      this.#bySlot[from & (slots - 1)] = 0;
    }
    this.#slot = Math.max(this.#slot, slot);
    return slot;
  }
}
