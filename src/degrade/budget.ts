/** A share of the reads that may be asked once more, so that an outage, in which all are slow or fail, is not doubled. */
const burstMax = 5;

export class Budget {
  readonly #share: number;
  #tokens = 0;

  /** `share` of the reads, 0 to 0.1. */
  constructor(share: number) {
    this.#share = Math.min(Math.max(share, 0), 0.1);
  }

  /** One more read: it earns its share of a second one. */
  count(): void {
    this.#tokens = Math.min(burstMax, this.#tokens + this.#share);
  }

  /** True when one may go out once more; takes it from the budget. */
  spend(): boolean {
    // Ten shares of a tenth are a little less than one.
    if (this.#tokens < 1 - 1e-9) return false;
    this.#tokens -= 1;
    return true;
  }
}
