/** A connection to an instance: being made, lent to an exchange, or idle in the pool. */
import type { Ears, Opening, Wire } from "./socket.ts";
import type { Target } from "./target.ts";
import { Alarm, type Wheel } from "./timers.ts";

/** Who uses a connection. */
export interface Borrower {
  onLinkOpen(link: Link): void;
  onLinkFailed(link: Link, code: string): void;
  onLinkData(chunk: Buffer): void;
  onLinkDrain(): void;
  /** The instance sends nothing more; `reset` when it or the network cut the connection. */
  onLinkEnd(reset: boolean): void;
  /** The instance was reported unhealthy, crashed or gone. */
  onTargetOut(): void;
}

export type Connect = (host: string, port: number, opening: Opening, ears: Ears) => Wire;

export class Link implements Ears, Opening {
  readonly target: Target;
  readonly wire: Wire;
  borrower: Borrower | null;
  /** Requests that were sent over it. */
  uses = 0;
  /** Since when it has no request; wheel time. */
  idleSince = 0;
  readonly #wheel: Wheel;
  readonly #alarm: Alarm;
  #isOpen = false;

  constructor(target: Target, borrower: Borrower, connect: Connect, wheel: Wheel, timeoutMs: number) {
    this.target = target;
    this.borrower = borrower;
    this.#wheel = wheel;
    this.#alarm = new Alarm(() => this.#ring());
    wheel.set(this.#alarm, timeoutMs);
    target.links.add(this);
    this.wire = connect(target.instance.host, target.instance.port, this, this);
  }

  onOpen(): void {
    this.#isOpen = true;
    this.#wheel.clear(this.#alarm);
    this.borrower?.onLinkOpen(this);
  }

  onFailed(code: string): void {
    this.#forget();
    const { borrower } = this;
    this.borrower = null;
    borrower?.onLinkFailed(this, code);
  }

  onData(chunk: Buffer): void {
    // Bytes that nobody asked for would be taken for the answer to the next request.
    if (this.borrower === null) this.discard();
    else this.borrower.onLinkData(chunk);
  }

  onDrain(): void {
    this.borrower?.onLinkDrain();
  }

  onEnd(): void {
    if (this.borrower === null) this.discard();
    else this.borrower.onLinkEnd(false);
  }

  onClose(reset: boolean): void {
    this.#forget();
    const { borrower } = this;
    this.borrower = null;
    borrower?.onLinkEnd(reset);
  }

  /** Puts it aside, for the next request. */
  rest(idleMs: number): void {
    this.borrower = null;
    this.idleSince = this.#wheel.time;
    this.wire.resume();
    this.#wheel.set(this.#alarm, idleMs);
    this.target.idle.push(this);
  }

  /** Lends it again. */
  lend(borrower: Borrower): void {
    this.#wheel.clear(this.#alarm);
    this.borrower = borrower;
  }

  /** Ends it without a word to the borrower. A reset tells an instance at once that nobody waits any more. */
  discard(): void {
    const isBusy = this.borrower !== null;
    this.borrower = null;
    this.#forget();
    if (isBusy) this.wire.cut();
    else this.wire.close();
  }

  #ring(): void {
    if (this.#isOpen) {
      if (this.borrower === null) this.discard();
      return;
    }
    const { borrower } = this;
    this.discard();
    borrower?.onLinkFailed(this, "ETIMEDOUT");
  }

  #forget(): void {
    this.#wheel.remove(this.#alarm);
    this.target.links.delete(this);
    const at = this.target.idle.indexOf(this);
    if (at >= 0) this.target.idle.splice(at, 1);
  }
}
