/** How a process ended, and the words for it. */

export type ExitStatus =
  | { readonly kind: "code"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: string; readonly number: number }
  /** It was started by a former agent: only its parent is told the status. */
  | { readonly kind: "unknown" };

export const unknownExit: ExitStatus = { kind: "unknown" };

/** What a shell says of it: the code, or 128 + signal. */
export function toExitCode(status: ExitStatus): number | undefined {
  if (status.kind === "code") return status.code;
  return status.kind === "signal" ? 128 + status.number : undefined;
}

/** For the log: "exited with status 143". */
export function toExitText(status: ExitStatus): string {
  const code = toExitCode(status);
  return code === undefined ? "exited" : `exited with status ${code}`;
}

/** For `ps`: "exited with status 1", "killed by SIGKILL". */
export function toReason(status: ExitStatus): string {
  return status.kind === "signal" ? `killed by ${status.signal}` : toExitText(status);
}
