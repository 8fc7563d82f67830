/** From everything a process knows to what it has to say now: what has changed, and now and then all; pure. */
import { Histogram } from "./histogram.ts";
import { limits } from "./limits.ts";
import type { Buckets, Reading } from "./registry.ts";
import { type Sample, toLine } from "./report.ts";

interface Said {
  value: number;
  readonly histogram: Histogram | undefined;
  turn: number;
}

export interface Page {
  readonly samples: readonly Sample[];
  readonly gone: readonly string[];
  /** Of the samples, as text. */
  readonly bytes: number;
}

export class Delta {
  readonly #said = new Map<string, Said>();
  #turn = 0;

  /** At least one page, each of no more than its bound of text. */
  next(readings: readonly Reading[], complete: boolean): readonly Page[] {
    this.#turn++;
    const pages: Page[] = [];
    let samples: Sample[] = [];
    let bytes = 0;
    const turnPage = (gone: readonly string[]) => {
      pages.push({ samples, gone, bytes });
      samples = [];
      bytes = 0;
    };
    for (const reading of readings) {
      const sample = this.#toSample(reading, complete);
      if (sample === undefined) continue;
      const size = toLine(sample).length + 1;
      if (bytes + size > limits.pageBytesMax && samples.length > 0) turnPage([]);
      samples.push(sample);
      bytes += size;
    }
    const gone = this.#sweep();
    // What a complete report does not name is gone anyhow.
    turnPage(complete ? [] : gone.slice(0, limits.gonePerReportMax));
    return pages;
  }

  #toSample(reading: Reading, complete: boolean): Sample | undefined {
    const { key, kind } = reading;
    let said = this.#said.get(key);
    const isNew = said === undefined;
    if (said === undefined) {
      said = { value: Number.NaN, histogram: kind === "histogram" ? new Histogram() : undefined, turn: 0 };
      this.#said.set(key, said);
    }
    said.turn = this.#turn;
    if (kind === "histogram") return toHistogramSample(key, reading.histogram, said, complete || isNew);
    if (!complete && said.value === reading.value) return undefined;
    said.value = reading.value;
    return { kind, key, value: reading.value };
  }

  #sweep(): string[] {
    const gone: string[] = [];
    for (const [key, { turn }] of this.#said) {
      if (turn === this.#turn) continue;
      gone.push(key);
      this.#said.delete(key);
    }
    return gone;
  }
}

function toHistogramSample(key: string, now: Buckets, said: Said, all: boolean): Sample | undefined {
  if (!all && said.value === now.count) return undefined;
  const known = said.histogram!;
  const buckets: number[] = [];
  now.each((index, total) => {
    const before = known.put(index, total);
    if (all || before !== total) buckets.push(index, total);
  });
  said.value = now.count;
  return { kind: "histogram", key, sum: now.sum, zero: now.zero, buckets };
}
