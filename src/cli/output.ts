/** What the commands print: text and JSON on stdout, progress and complaints on stderr. */

export interface Stream {
  write(data: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export type Colour = "red" | "green" | "yellow" | "dim" | "bold";

const codes: Record<Colour, number> = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 };

export class Output {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly #colours: boolean;

  /** Colours go to a terminal only, and not where NO_COLOR is set. */
  constructor(stdout: Stream, stderr: Stream, env: Readonly<Record<string, string | undefined>>) {
    this.stdout = stdout;
    this.stderr = stderr;
    this.#colours = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  }

  line(text = ""): void {
    this.stdout.write(`${text}\n`);
  }

  /** For people who watch; kept out of what a program reads. */
  note(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.stdout.write(`${JSON.stringify(value, null, this.stdout.isTTY ? 2 : undefined)}\n`);
  }

  paint(colour: Colour, text: string): string {
    return this.#colours ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
  }

  /** Columns as wide as their widest cell; the last one is cut at the edge of a terminal. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const columns = this.stdout.isTTY ? (this.stdout.columns ?? 80) : undefined;
    for (const [at, line] of toTable(head, rows, columns).entries()) {
      this.line(at === 0 ? this.paint("dim", line) : line);
    }
  }
}

/** Pure half of `table`. Colours in cells do not count for the width. */
export function toTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns?: number,
): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...all.map((row) => bare(row[at] ?? "").length)));
  return all.map((row) => {
    const cells = head.map((_, at) => {
      const cell = row[at] ?? "";
      return at === head.length - 1 ? cell : cell + " ".repeat((widths[at] ?? 0) - bare(cell).length);
    });
    const line = cells.join("  ").trimEnd();
    return columns !== undefined && bare(line) === line && line.length > columns
      ? `${line.slice(0, columns - 1)}…`
      : line;
  });
}

const bare = (text: string): string => text.replace(/\x1b\[\d+m/g, "");
