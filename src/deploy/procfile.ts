/**
 * Heroku's Procfile: one `type: command` a line; empty lines and lines that start with `#` do not count.
 * `release:` is the release phase: it runs once before a release boots, and is never scaled.
 */
import { NinesError } from "../std/errors.ts";

const typesMax = 50;
const bytesMax = 65_536;
const typeName = /^[A-Za-z0-9][A-Za-z0-9_-]{0,29}$/;
const example = "write one process a line, as in `web: node server.js`";

/** Process type to command. Throws `invalid` that lists every problem with its line and column. */
export function parseProcfile(text: string): Readonly<Record<string, string>> {
  if (text.length > bytesMax) throw refuse([`1:1: the file is longer than ${bytesMax} bytes`]);
  const processes: Record<string, string> = {};
  const seen = new Map<string, number>();
  const problems: string[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = raw.trimEnd();
    const indent = line.length - line.trimStart().length;
    if (line.trim() === "" || line[indent] === "#") continue;
    const at = (column: number) => `${index + 1}:${column + 1}`;
    const colon = line.indexOf(":");
    const type = line.slice(indent, colon === -1 ? undefined : colon).trimEnd();
    const command = colon === -1 ? "" : line.slice(colon + 1).trim();
    const bad = [...type].findIndex((character) => !/[A-Za-z0-9_-]/.test(character));
    if (/\0/.test(line)) problems.push(`${at(line.indexOf("\0"))}: expected text, found a NUL byte`);
    else if (colon === -1)
      problems.push(`${at(line.length)}: expected ":" after the process type, found the end of the line`);
    else if (type === "") problems.push(`${at(indent)}: expected a process type before ":"`);
    else if (bad !== -1)
      problems.push(
        `${at(indent + bad)}: expected letters, digits, "-" or "_" in the process type, found "${type[bad]}"`,
      );
    else if (!typeName.test(type))
      problems.push(
        `${at(indent)}: expected a process type of at most 30 characters that starts with a letter or digit`,
      );
    else if (command === "") problems.push(`${at(colon + 1)}: expected a command after "${type}:"`);
    else if (seen.has(type))
      problems.push(`${at(indent)}: process type "${type}" is there twice, first in line ${seen.get(type)}`);
    else {
      seen.set(type, index + 1);
      processes[type] = command;
    }
  }
  if (problems.length === 0 && seen.size === 0)
    problems.push("1:1: expected at least one process, found none");
  if (seen.size > typesMax)
    problems.push(`1:1: expected at most ${typesMax} process types, found ${seen.size}`);
  if (problems.length > 0) throw refuse(problems);
  if (seen.size === 1 && seen.has("release")) {
    throw refuse([
      `${seen.get("release")}:1: "release" runs once before a release; expected a process that stays, too`,
    ]);
  }
  return processes;
}

const shownMax = 10;

function refuse(problems: readonly string[]): NinesError {
  const shown = problems.slice(0, shownMax).map((problem) => `Procfile:${problem}`);
  if (problems.length > shownMax) shown.push(`… and ${problems.length - shownMax} more`);
  return new NinesError("invalid", shown.join("\n"), { hint: example });
}
