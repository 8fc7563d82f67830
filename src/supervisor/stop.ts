/** Ends children: asks, waits, kills, waits again; never forever where it has killed. */
import type { Clock } from "../std/clock.ts";
import type { Child, Exit, Shutdown } from "./child.ts";

/** After SIGKILL a process may hang in the operating system; then it is given up for dead. */
export const killWaitMs = 10_000;

/** Ends one child within the time its spec gives it. `onUnkillable` is called when even killing did not. */
export async function stopChild(
  child: Child,
  shutdown: Shutdown,
  clock: Clock,
  onUnkillable: () => void = () => {},
): Promise<Exit> {
  if (shutdown !== "brutal_kill") {
    child.stop();
    if (shutdown === "infinity") return child.exited;
    const exit = await within(child.exited, shutdown, clock);
    if (exit !== undefined) return exit;
  }
  child.kill();
  const exit = await within(child.exited, killWaitMs, clock);
  if (exit !== undefined) return exit;
  onUnkillable();
  return { kind: "crashed", reason: "unkillable" };
}

/** Ends many at once, under one timer. */
export async function stopTogether(
  children: readonly Child[],
  shutdown: Shutdown,
  clock: Clock,
  onUnkillable: (child: Child) => void = () => {},
): Promise<void> {
  const left = new Set(children);
  const all = Promise.all(children.map((child) => child.exited.then(() => left.delete(child))));
  if (shutdown !== "brutal_kill") {
    for (const child of children) child.stop();
    if (shutdown === "infinity") await all;
    else await within(all, shutdown, clock);
  }
  for (const child of left) child.kill();
  await within(all, killWaitMs, clock);
  for (const child of left) onUnkillable(child);
}

/** What the promise gives, or undefined when that takes longer. */
export async function within<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  let timer: Disposable | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = clock.after(ms, () => resolve(undefined));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}
