/**
 * The command line of a process type, as Procfiles have it: a shell expands it. Pure.
 *
 * A plain command takes the shell's place (`exec`), so that the pid that people see, signal and kill is that
 * of the app itself, and no shell waits beside it; what needs the shell to stay, keeps it.
 */

/** Words that only the shell itself knows, which cannot be exec'ed. */
const builtins =
  /^(?:\.|:|!|\[\[|alias|bg|break|case|cd|command|continue|do|eval|exec|exit|export|fg|for|function|getopts|hash|if|jobs|let|local|read|readonly|return|set|shift|source|times|trap|type|ulimit|umask|unalias|unset|until|wait|while)$/;
const assignment = /^[A-Za-z_][A-Za-z0-9_]*\+?=/;

export function toShell(command: string): [string, ...string[]] {
  return ["/bin/sh", "-c", isPlain(command) ? `exec ${command}` : command];
}

/** One simple command: no list, pipe, group, background, comment or second line, and no word of the shell's first. */
export function isPlain(command: string): boolean {
  const first = command.trim().split(/\s+/)[0] ?? "";
  return (
    first !== "" && !/[;&|`(){}\n#]/.test(command.trim()) && !assignment.test(first) && !builtins.test(first)
  );
}
