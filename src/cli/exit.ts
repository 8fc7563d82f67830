/** Exit codes, and how a failure reads. */
import { NinesError, toError } from "../std/errors.ts";
import type { Output } from "./output.ts";
import { UsageError } from "./usage.ts";

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 64,
  data: 65,
  unavailable: 69,
  token: 77,
} as const;

/** The exit code of whatever was thrown. */
export function toExitCode(thrown: unknown): number {
  if (thrown instanceof UsageError) return exitCodes.usage;
  if (!(thrown instanceof NinesError)) return exitCodes.failed;
  switch (thrown.code) {
    case "invalid":
    case "too_large":
      return exitCodes.data;
    case "unauthorized":
    case "forbidden":
      return exitCodes.token;
    case "unavailable":
    case "timeout":
    case "overloaded":
      return exitCodes.unavailable;
    default:
      return exitCodes.failed;
  }
}

/** One sentence and the next thing to try for what is known; the stack for what is not. */
export function explain(thrown: unknown, out: Output): void {
  const error = toError(thrown);
  const mark = out.stderr.isTTY ? out.paint("red", "nines:") : "nines:";
  if (!(error instanceof NinesError)) {
    out.note(`${mark} ${error.stack ?? error.message}`);
    return out.note("  this is a fault of Nines itself; please report it with the lines above");
  }
  out.note(`${mark} ${error.message}`);
  if (error.hint !== undefined) out.note(`  ${error.hint}`);
}
