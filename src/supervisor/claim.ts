/** Processes whose end somebody in this process waits for already; the reaper leaves them alone. */

const claimed = new Map<number, number>();

/** Disposing it ends the claim. */
export function claimPid(pid: number): Disposable {
  claimed.set(pid, (claimed.get(pid) ?? 0) + 1);
  return {
    [Symbol.dispose]() {
      const left = (claimed.get(pid) ?? 1) - 1;
      if (left > 0) claimed.set(pid, left);
      else claimed.delete(pid);
    },
  };
}

export function isClaimed(pid: number): boolean {
  return claimed.has(pid);
}
