/** How far something has come: a bar that is redrawn on a terminal, one line at the end elsewhere. */
import type { Output } from "./output.ts";

const redrawIntervalMs = 60;
const barWidth = 28;

export class Progress {
  readonly #out: Output;
  readonly #what: string;
  readonly #total: number;
  readonly #unit: "bytes" | "files";
  readonly #startedAt = performance.now();
  #drawnAt = Number.NEGATIVE_INFINITY;
  readonly #quiet: boolean;

  constructor(out: Output, what: string, total: number, unit: "bytes" | "files" = "bytes", quiet = false) {
    this.#out = out;
    this.#what = what;
    this.#total = total;
    this.#unit = unit;
    this.#quiet = quiet;
  }

  /** How many so far. */
  at(count: number): void {
    const now = performance.now();
    if (this.#quiet || !this.#out.stderr.isTTY || now - this.#drawnAt < redrawIntervalMs) return;
    this.#drawnAt = now;
    const rate = count / Math.max(0.001, (now - this.#startedAt) / 1_000);
    const speed = this.#unit === "bytes" ? `  ${toBytes(rate)}/s` : "";
    this.#out.stderr.write(`\r\x1b[K${toBar(this.#what, count, this.#total, this.#unit)}${speed}`);
  }

  /** Leaves one line behind. */
  done(): void {
    if (this.#quiet) return;
    this.clear();
    this.#out.note(`${this.#what}: ${toCount(this.#total, this.#unit)}, done`);
  }

  /** Takes the bar away without a word. */
  clear(): void {
    if (!this.#quiet && this.#out.stderr.isTTY) this.#out.stderr.write("\r\x1b[K");
  }
}

/** `Sending [#######         ]  45 %  1.2 MB of 2.7 MB` */
export function toBar(what: string, done: number, total: number, unit: "bytes" | "files" = "bytes"): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * barWidth);
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const counts = `${unit === "bytes" ? toBytes(done) : done} of ${toCount(total, unit)}`;
  return `${what} [${"#".repeat(filled)}${" ".repeat(barWidth - filled)}] ${percent}  ${counts}`;
}

function toCount(count: number, unit: "bytes" | "files"): string {
  return unit === "bytes" ? toBytes(count) : `${count} file${count === 1 ? "" : "s"}`;
}

/** Bytes as people read them: 940 B, 12 kB, 3.4 MB. */
export function toBytes(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} B`;
  for (const [unit, size] of [
    ["kB", 1e3],
    ["MB", 1e6],
    ["GB", 1e9],
  ] as const) {
    const count = bytes / size;
    if (count < 999.5 || unit === "GB") return `${count < 10 ? count.toFixed(1) : Math.round(count)} ${unit}`;
  }
  return `${bytes} B`;
}
