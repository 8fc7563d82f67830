/** The values of the running second, of all histograms: a list for each, in arrays that all share. */
import { toPlace } from "./histogram.ts";
import type { Spreading } from "./spread.ts";

/** What one histogram has of it. */
export interface Heap {
  count: number;
  sum: number;
  zero: number;
  /** Where its list begins; 0 is its end. */
  head: number;
}

export class Pending {
  #next = new Int32Array(1_024);
  #index = new Int16Array(1_024);
  #times = new Float64Array(1_024);
  #length = 1;

  fill(heap: Heap, index: number, times: number): void {
    if (this.#length === this.#next.length) this.#grow();
    this.#next[this.#length] = heap.head;
    this.#index[this.#length] = toPlace(index);
    this.#times[this.#length] = times;
    heap.head = this.#length++;
  }

  /** Adds what there is to another. */
  read(heap: Heap, into: Spreading): void {
    into.count += heap.count;
    into.sum += heap.sum;
    into.zero += heap.zero;
    for (let at = heap.head; at !== 0; at = this.#next[at]!) into.fill(this.#index[at]!, this.#times[at]!);
  }

  /** The same, and begins anew. All lists have to end before `clear`. */
  take(heap: Heap, into: Spreading): void {
    this.read(heap, into);
    heap.count = heap.sum = heap.zero = heap.head = 0;
  }

  clear(): void {
    this.#length = 1;
  }

  #grow(): void {
    const room = this.#length * 2;
    const [next, index, times] = [new Int32Array(room), new Int16Array(room), new Float64Array(room)];
    next.set(this.#next);
    index.set(this.#index);
    times.set(this.#times);
    [this.#next, this.#index, this.#times] = [next, index, times];
  }
}
