/** What was tried and what stopped it, held against the table in the docs. NINES_WRITE=docs writes the table anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { short } from "../length.ts";

const head = "| tried | stopped by |\n|---|---|\n";

export class List {
  readonly #rows: string[] = [];

  add(what: string, stoppedBy: string): void {
    this.#rows.push(`| ${what.replaceAll("|", "\\|")} | ${stoppedBy} |`);
  }

  /** Throws when a row of it is not in the docs; in the long form, also when the docs know more. */
  check(path: string): void {
    const text = readFileSync(path, "utf8");
    const at = text.indexOf(head) + head.length;
    const known = text.slice(at).trim().split("\n");
    if (process.env.NINES_WRITE === "docs") {
      return writeFileSync(path, `${text.slice(0, at)}${this.#rows.join("\n")}\n`);
    }
    const missing = this.#rows.filter((row) => !known.includes(row));
    // What takes long, or needs root, is in the docs and not always tried.
    const untried = short || process.getuid?.() !== 0 ? [] : known.filter((row) => !this.#rows.includes(row));
    if (missing.length + untried.length > 0) {
      throw new Error(`${path} differs; NINES_WRITE=docs writes it:\n${[...missing, ...untried].join("\n")}`);
    }
  }
}
