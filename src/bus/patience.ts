/** How long an ack may take before another broker gets the message; pure. */

export interface PatienceLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * Learns from the acks of one broker, as TCP learns its retransmission timeout (RFC 6298): a broker that answers
 * within a few milliseconds is given up sooner than one that takes its time. A late ack counts as well, so that
 * one that became slow, and is not gone, is soon waited for as long as at first.
 */
export class Patience {
  readonly #limits: PatienceLimits;
  #meanMs: number | undefined;
  #deviationMs = 0;

  constructor(limits: PatienceLimits) {
    this.#limits = limits;
  }

  get timeoutMs(): number {
    const { minMs, maxMs } = this.#limits;
    if (this.#meanMs === undefined) return maxMs;
    return Math.min(maxMs, Math.max(minMs, this.#meanMs + 4 * this.#deviationMs));
  }

  acked(tookMs: number): void {
    if (this.#meanMs === undefined) {
      this.#meanMs = tookMs;
      this.#deviationMs = tookMs / 2;
      return;
    }
    this.#deviationMs += (Math.abs(tookMs - this.#meanMs) - this.#deviationMs) / 4;
    this.#meanMs += (tookMs - this.#meanMs) / 8;
  }
}
