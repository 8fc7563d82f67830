/** Sends a signal to a process that must be there: number 0 would be every process of the test itself. */
export function send(pid: number | null | undefined, name: NodeJS.Signals): void {
  if (!pid) throw new Error(`there is no process to send ${name} to`);
  process.kill(pid, name);
}
