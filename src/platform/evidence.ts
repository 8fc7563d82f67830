/** The last lines of what made a rollout fail, so that its reason can show them. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Evidence } from "../deploy/deploy.ts";
import type { Clock } from "../std/clock.ts";
import type { Home } from "../wire/home.ts";
import { lastInstanceLines } from "./app-log.ts";

const linesMax = 20;
const bytesMax = 64 * 1024;
/** The agent reads an instance's output every 50 ms; its last words come a little after its end. */
const settleMs = 150;

export async function readEvidence(
  home: Home,
  evidence: Evidence,
  since: string,
  clock: Clock,
): Promise<readonly string[]> {
  await clock.sleep(settleMs);
  if (evidence.kind === "job") return readEnd(home.jobLog(evidence.id));
  return lastInstanceLines(home, evidence.app, evidence.name, since, linesMax);
}

function readEnd(path: string): readonly string[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return [];
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.min(bytesMax, size));
    const read = readSync(file, bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.subarray(0, read).toString("utf8").trimEnd().split("\n");
    return lines.filter((line) => line !== "").slice(-linesMax);
  } finally {
    closeSync(file);
  }
}
