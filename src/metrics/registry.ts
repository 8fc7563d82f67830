/**
 * What one process counts. A handle is fetched once and held: using it makes nothing and looks nothing up.
 *
 *   const orders = registry.counter("shop.orders", { kind: "web" });
 *   orders.add(1);
 *
 * What others count already is asked for at each report (`onCollect`). The number of series is bounded: beyond it
 * a handle counts into nothing, and how many were refused is counted.
 */

import { NinesError } from "../std/errors.ts";
import { Histogram } from "./histogram.ts";
import { type Labels, toKey } from "./key.ts";
import { limits } from "./limits.ts";
import type { Kind } from "./report.ts";

export interface Counter {
  /** By 1, or by a number that is not negative. */
  add(by?: number): void;
}

export interface Gauge {
  set(value: number): void;
  add(by: number): void;
}

export interface Recorder {
  /** A value that is not negative. */
  record(value: number): void;
}

/** A histogram of any make, with the buckets of schema 5. */
export interface Buckets {
  readonly count: number;
  readonly sum: number;
  readonly zero: number;
  each(visit: (index: number, times: number) => void): void;
}

export type Reading =
  | { readonly kind: "counter" | "gauge"; readonly key: string; readonly value: number }
  | { readonly kind: "histogram"; readonly key: string; readonly histogram: Buckets };

/** Takes what others count. Totals and levels, as they are now. */
export interface Collection {
  counter(name: string, labels: Labels, total: number): void;
  gauge(name: string, labels: Labels, value: number): void;
  histogram(name: string, labels: Labels, histogram: Buckets): void;
}

type Cell = { readonly kind: Kind; value: number; readonly histogram: Histogram | undefined };

export class Registry {
  readonly #seriesMax: number;
  readonly #cells = new Map<string, Cell>();
  readonly #collectors = new Set<(collection: Collection) => void>();
  /** Series refused because of the bound. */
  dropped = 0;
  /** Samples that were no number. */
  refused = 0;

  constructor(seriesMax: number = limits.seriesPerProcessMax) {
    this.#seriesMax = seriesMax;
  }

  /** Throws `invalid` for names that a metric may not have, and for one that is of another kind. */
  counter(name: string, labels?: Labels): Counter {
    const cell = this.#cell("counter", name, labels);
    return {
      add: (by = 1) => {
        if (by >= 0 && by < Number.POSITIVE_INFINITY) cell.value += by;
        else this.refused++;
      },
    };
  }

  gauge(name: string, labels?: Labels): Gauge {
    const cell = this.#cell("gauge", name, labels);
    return {
      set: (value) => {
        if (Number.isFinite(value)) cell.value = value;
        else this.refused++;
      },
      add: (by) => {
        if (Number.isFinite(by)) cell.value += by;
        else this.refused++;
      },
    };
  }

  histogram(name: string, labels?: Labels): Recorder {
    const histogram = this.#cell("histogram", name, labels).histogram!;
    return {
      record: (value) => {
        if (value >= 0 && value < Number.POSITIVE_INFINITY) histogram.add(value);
        else this.refused++;
      },
    };
  }

  /** Called before each report. */
  onCollect(collect: (collection: Collection) => void): Disposable {
    this.#collectors.add(collect);
    return { [Symbol.dispose]: () => void this.#collectors.delete(collect) };
  }

  /** Everything as it is now. What a collector throws costs the rest of that collector's series alone. */
  read(onFault: (error: unknown) => void = () => {}): Reading[] {
    const readings: Reading[] = [];
    for (const [key, { kind, value, histogram }] of this.#cells) {
      readings.push(kind === "histogram" ? { kind, key, histogram: histogram! } : { kind, key, value });
    }
    const collection = this.#toCollection(readings);
    for (const collect of this.#collectors) {
      try {
        collect(collection);
      } catch (error) {
        onFault(error);
      }
    }
    return readings;
  }

  #cell(kind: Kind, name: string, labels: Labels | undefined): Cell {
    const key = toKey(name, labels);
    const known = this.#cells.get(key);
    if (known !== undefined && known.kind !== kind) {
      throw new NinesError("invalid", `metric ${name} is a ${known.kind}, and cannot be a ${kind} too`);
    }
    if (known !== undefined) return known;
    const cell: Cell = { kind, value: 0, histogram: kind === "histogram" ? new Histogram() : undefined };
    if (this.#cells.size < this.#seriesMax) this.#cells.set(key, cell);
    else this.dropped++;
    return cell;
  }

  #toCollection(readings: Reading[]): Collection {
    const add = (reading: Reading) => {
      if (readings.length < this.#seriesMax) readings.push(reading);
      else this.dropped++;
    };
    const addNumber = (kind: "counter" | "gauge") => (name: string, labels: Labels, value: number) => {
      if (Number.isFinite(value)) add({ kind, key: toKey(name, labels), value });
      else this.refused++;
    };
    return {
      counter: addNumber("counter"),
      gauge: addNumber("gauge"),
      histogram: (name, labels, histogram) => add({ kind: "histogram", key: toKey(name, labels), histogram }),
    };
  }
}
