/**
 * Idle connections to instances, the most recently used first.
 *
 * A connection can be closed by the instance at the very moment a request goes out on it. What is repeatable
 * is then repeated. For what is not, only a connection is used that was idle for less than `freshMs` and on
 * which the kernel has no end waiting; otherwise a new one is made, because an unsafe request that was
 * perhaps delivered is never sent twice.
 */
import type { MeshLimits } from "./limits.ts";
import { type Borrower, type Connect, Link } from "./link.ts";
import type { Target } from "./target.ts";
import type { Wheel } from "./timers.ts";

export class Pool {
  readonly #limits: MeshLimits;
  readonly #wheel: Wheel;
  readonly #connect: Connect;

  constructor(limits: MeshLimits, wheel: Wheel, connect: Connect) {
    this.#limits = limits;
    this.#wheel = wheel;
    this.#connect = connect;
  }

  /** An open connection, or null. `isRepeatable` says whether the request may meet a closed one. */
  take(target: Target, borrower: Borrower, isRepeatable: boolean): Link | null {
    for (;;) {
      const link = target.idle[target.idle.length - 1];
      if (link === undefined) return null;
      if (!isRepeatable) {
        if (this.#wheel.time - link.idleSince > this.#limits.freshMs) return null;
        if (!link.wire.isQuiet()) {
          link.discard();
          continue;
        }
      }
      target.idle.pop();
      link.lend(borrower);
      return link;
    }
  }

  /** A new connection; the borrower hears when it is open. */
  connect(target: Target, borrower: Borrower, timeoutMs: number): Link {
    return new Link(target, borrower, this.#connect, this.#wheel, timeoutMs);
  }

  /** Takes a connection back after an exchange that left it clean. `seconds` is what the instance promised. */
  give(link: Link, seconds: number): void {
    const { target } = link;
    const idleMs = seconds > 0 ? seconds * 1_000 - this.#limits.freshMs : this.#limits.poolIdleMs;
    const isWanted = target.instance.state === "up" && target.goneAt === 0;
    if (!isWanted || idleMs <= 0 || target.idle.length >= this.#limits.poolCount) {
      link.borrower = null;
      link.discard();
    } else link.rest(Math.min(idleMs, this.#limits.poolIdleMs));
  }
}
