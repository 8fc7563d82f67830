/** The parts of the platform as a table. */
import type { PartState, PartStatus } from "../wire/part.ts";
import type { Colour, Output } from "./output.ts";
import { toAge } from "./when.ts";

const colours: Record<PartState, Colour> = {
  up: "green",
  starting: "yellow",
  restarting: "yellow",
  stopped: "dim",
  failed: "red",
};

/** Head and rows for Output.table. */
export function toPartTable(
  out: Output,
  parts: readonly PartStatus[],
): [head: readonly string[], rows: readonly (readonly string[])[]] {
  return [
    ["PART", "STATE", "PID", "PORT", "RESTARTS", "SINCE"],
    parts.map((part) => [
      part.name,
      out.paint(colours[part.state], part.state),
      part.pid === null ? "-" : String(part.pid),
      part.port === undefined ? "-" : String(part.port),
      String(part.restarts),
      toAge(part.since),
    ]),
  ];
}
