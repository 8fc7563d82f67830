/** Help and refusals about how a command was written. */
import { NinesError } from "../std/errors.ts";
import type { Command, Flag } from "./command.ts";

/** The command line itself is wrong: exit code 64, and nothing was done. */
export class UsageError extends NinesError {
  constructor(message: string, hint?: string) {
    super("invalid", message, hint === undefined ? {} : { hint });
  }
}

/** The help of one command. */
export function toHelp(name: string, summary: string, command: Command): string {
  const rows = Object.entries({ ...command.flags, help: helpFlag }).map(
    ([flag, spec]) => [toSynopsis(flag, spec), spec.summary] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = [
    `nines ${name}${command.places === "" ? "" : ` ${command.places}`}: ${summary}`,
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
  ];
  if (command.notes !== undefined) lines.push("", command.notes.trim());
  return `${lines.join("\n")}\n`;
}

/** The candidate that was probably meant; undefined when none is near. */
export function suggest(given: string, candidates: readonly string[]): string | undefined {
  const near = candidates
    .map((candidate) => ({ candidate, distance: distanceOf(given, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  const limit = given.length <= 3 ? 1 : given.length <= 6 ? 2 : 3;
  return near !== undefined && near.distance <= limit ? near.candidate : undefined;
}

const helpFlag: Flag = { kind: "switch", short: "h", summary: "this text" };

function toSynopsis(name: string, flag: Flag): string {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  return `${short}--${name}${flag.kind === "switch" ? "" : ` ${flag.value}`}`;
}

/** Edits (insert, delete, replace, swap of neighbours) from one word to the other. */
function distanceOf(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(rows, i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, at(rows, i - 1, j) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, at(rows, i - 2, j - 2) + 1);
      }
      row.push(best);
    }
    rows.push(row);
  }
  return at(rows, a.length, b.length);
}

const at = (rows: number[][], i: number, j: number): number => rows[i]?.[j] ?? 0;
