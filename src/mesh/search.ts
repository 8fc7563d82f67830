/**
 * The search for an instance once the first one was none, or failed; a policy without a clock. It is made
 * only then: most requests never have one.
 */
import { choose, chooseLeastBad } from "./balancer.ts";
import type { MeshLimits } from "./limits.ts";
import type { Outlook } from "./routable.ts";
import type { Target } from "./target.ts";

export type Step =
  | { readonly kind: "go"; readonly target: Target }
  /** Look again after a pause, or as soon as the instances change. */
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "fail"; readonly code: "H10" | "H19" | "H20" | "H21" };

/** What a search sees of its app. */
export interface Field {
  readonly routable: readonly Target[];
  readonly outlook: () => Outlook;
}

export class Search {
  readonly #limits: MeshLimits;
  readonly #random: () => number;
  /** Wheel time at which it is given up. */
  readonly #until: number;
  #tried: Target[] = [];
  #attempts = 0;
  #rounds = 0;
  #fault: "H19" | "H21" | null = null;

  constructor(limits: MeshLimits, random: () => number, until: number) {
    this.#limits = limits;
    this.#random = random;
    this.#until = until;
  }

  /** Another instance than those tried; after the last attempt in a row, a pause. */
  next(field: Field, now: number): Step {
    const isAllowed = this.#attempts < this.#limits.connectAttempts;
    const target = isAllowed ? choose(field.routable, this.#random, now, this.#tried) : undefined;
    return target === undefined ? this.#pause(field, now) : { kind: "go", target };
  }

  /** The instances have changed: one that is new, or was not tried since the last pause. */
  woken(field: Field, now: number): Step {
    this.#attempts = 0;
    return this.next(field, now);
  }

  /** After a pause: whoever there is, quarantined or not. */
  again(field: Field, now: number): Step {
    if (now >= this.#until) return { kind: "fail", code: this.#fault ?? "H20" };
    this.#tried = [];
    this.#attempts = 0;
    const target = choose(field.routable, this.#random, now, null) ?? chooseLeastBad(field.routable);
    return target === undefined ? this.#pause(field, now) : { kind: "go", target };
  }

  /** Another instance than `stale`, or `stale` itself: that a pooled connection was closed says little against it. */
  after(stale: Target, field: Field, now: number): Step {
    this.#tried.push(stale);
    const target = choose(field.routable, this.#random, now, this.#tried);
    if (target !== undefined) return { kind: "go", target };
    const isThere = field.routable.includes(stale) && stale.quarantinedUntil <= now;
    return isThere ? { kind: "go", target: stale } : this.#pause(field, now);
  }

  /** A connection could not be made. */
  failed(target: Target, fault: "H19" | "H21"): void {
    this.#fault = fault;
    this.#attempts++;
    this.#tried.push(target);
  }

  #pause(field: Field, now: number): Step {
    const leftMs = this.#until - now;
    if (field.routable.length === 0 && field.outlook() === "crashed") return { kind: "fail", code: "H10" };
    if (leftMs <= 0) return { kind: "fail", code: this.#fault ?? "H20" };
    if (field.routable.length === 0) return { kind: "wait", ms: leftMs };
    const { retryBaseMs, retryCapMs } = this.#limits;
    const fullMs = Math.min(retryCapMs, retryBaseMs * 2 ** Math.min(this.#rounds++, 20));
    return { kind: "wait", ms: Math.min(leftMs, fullMs * (1 - this.#random() / 2)) };
  }
}
