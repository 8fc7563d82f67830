/** A queue with two ends, as a growing ring. Whoever owns it bounds it. */
export class Deque<T> {
  #ring: (T | undefined)[] = new Array(16);
  #start = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    this.#grow();
    this.#ring[(this.#start + this.#length) & (this.#ring.length - 1)] = item;
    this.#length++;
  }

  unshift(item: T): void {
    this.#grow();
    this.#start = (this.#start - 1) & (this.#ring.length - 1);
    this.#ring[this.#start] = item;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#start];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#start];
    this.#ring[this.#start] = undefined;
    this.#start = (this.#start + 1) & (this.#ring.length - 1);
    this.#length--;
    if (this.#length === 0 && this.#ring.length > 4_096) {
      // A burst's memory is given back once it is over.
      this.#ring = new Array(16);
      this.#start = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = 0; at < this.#length; at++) {
      yield this.#ring[(this.#start + at) & (this.#ring.length - 1)] as T;
    }
  }

  #grow(): void {
    if (this.#length < this.#ring.length) return;
    this.#ring = [...this, ...new Array<undefined>(this.#ring.length)];
    this.#start = 0;
  }
}
