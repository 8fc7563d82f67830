/** Calls that wait at a valve: by priority, and within one in the order that the settings say. Bounded by its user. */
export const priorities = ["critical", "normal", "background"] as const;
export type Priority = (typeof priorities)[number];

export interface Waiting {
  readonly priority: Priority;
  /** When it is of no use any more. */
  readonly until: number;
}

export class WaitingLine<W extends Waiting> {
  readonly #lines: Record<Priority, W[]> = { critical: [], normal: [], background: [] };
  length = 0;

  push(waiting: W): void {
    this.#lines[waiting.priority].push(waiting);
    this.length++;
  }

  /** Who is next, without taking it. Those whose time is over are not looked at: `expire` takes them. */
  peek(order: "fifo" | "lifo"): W | undefined {
    for (const priority of priorities) {
      const line = this.#lines[priority];
      if (line.length > 0) return order === "fifo" ? line[0] : line.at(-1);
    }
    return undefined;
  }

  remove(waiting: W): boolean {
    const line = this.#lines[waiting.priority];
    // Nearly always one of the two ends.
    const at = line[0] === waiting ? 0 : line.lastIndexOf(waiting);
    if (at < 0) return false;
    line.splice(at, 1);
    this.length--;
    return true;
  }

  /** The newest of the least important, when it is less important than `priority`. */
  victim(priority: Priority): W | undefined {
    for (const other of priorities.toReversed()) {
      if (priorities.indexOf(other) <= priorities.indexOf(priority)) return undefined;
      const last = this.#lines[other].at(-1);
      if (last !== undefined) return last;
    }
    return undefined;
  }

  /** Takes out all whose time is over. */
  expire(now: number): readonly W[] {
    const late: W[] = [];
    for (const priority of priorities) {
      const line = this.#lines[priority];
      if (!line.some((one) => one.until <= now)) continue;
      late.push(...line.filter((one) => one.until <= now));
      this.#lines[priority] = line.filter((one) => one.until > now);
    }
    this.length -= late.length;
    return late;
  }

  /** When the next one's time is over. */
  nextUntil(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const priority of priorities)
      for (const { until } of this.#lines[priority]) next = Math.min(next, until);
    return next;
  }

  /** Takes out all. */
  clear(): readonly W[] {
    const all = priorities.flatMap((priority) => this.#lines[priority].splice(0));
    this.length = 0;
    return all;
  }
}
