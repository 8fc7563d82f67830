/** The parts, live: a table that is redrawn in place on a terminal, a line for each change elsewhere. */
import type { PartStatus } from "../wire/part.ts";
import { type Output, toTable } from "./output.ts";
import { toPartTable } from "./parts.ts";

export class Board {
  readonly #out: Output;
  #quiet: boolean;
  readonly #last = new Map<string, string>();
  #height = 0;
  #drawn = "";

  constructor(out: Output, quiet: boolean) {
    this.#out = out;
    this.#quiet = quiet;
  }

  show(parts: readonly PartStatus[]): void {
    if (this.#quiet) return;
    if (this.#out.stdout.isTTY) this.#redraw(parts);
    else this.#tell(parts);
  }

  /** Takes the table away; what is printed next stands in its place. */
  clear(): void {
    if (this.#height > 0) this.#out.stdout.write(`\r\x1b[${this.#height}A\x1b[J`);
    this.#height = 0;
    this.#drawn = "";
  }

  /** Takes the table away for good. */
  close(): void {
    this.clear();
    this.#quiet = true;
  }

  #redraw(parts: readonly PartStatus[]): void {
    const [head, rows] = toPartTable(this.#out, parts);
    const lines = toTable(head, rows);
    const text = lines.map((line) => `${line}\n`).join("");
    if (text === this.#drawn) return;
    this.clear();
    this.#out.stdout.write(text);
    this.#height = lines.length;
    this.#drawn = text;
  }

  #tell(parts: readonly PartStatus[]): void {
    for (const part of parts) {
      const now = `${part.state} ${part.pid}`;
      if (this.#last.get(part.name) === now) continue;
      this.#last.set(part.name, now);
      const port = part.port === undefined ? "" : `, port ${part.port}`;
      const pid = part.pid === null ? "" : ` (pid ${part.pid}${port})`;
      this.#out.line(`${part.name} ${part.state}${pid}`);
    }
  }
}
