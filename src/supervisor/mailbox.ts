import { toError } from "../std/errors.ts";

/**
 * Runs jobs one after the other, in the order they came: a supervisor does one thing at a time. Whoever
 * posts keeps it bounded: the end of each child is one job, and calls are refused when too many wait.
 */
export class Mailbox {
  #jobs: (() => Promise<void> | void)[] = [];
  #next = 0;
  #running = false;
  readonly #onFault: (error: Error) => void;

  /** `onFault` hears of a job that threw, which is a mistake in the supervisor itself. */
  constructor(onFault: (error: Error) => void) {
    this.#onFault = onFault;
  }

  post(job: () => Promise<void> | void): void {
    this.#jobs.push(job);
    if (!this.#running) void this.#run();
  }

  /** Posts after whatever the event loop has ready: between two tries, others get their turn. */
  postLater(job: () => Promise<void> | void): void {
    setImmediate(() => this.post(job));
  }

  get waiting(): number {
    return this.#jobs.length - this.#next;
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let job = this.#jobs[this.#next]; job !== undefined; job = this.#jobs[this.#next]) {
      this.#next++;
      try {
        await job();
      } catch (error) {
        this.#onFault(toError(error));
      }
      if (this.#next === this.#jobs.length) {
        this.#jobs = [];
        this.#next = 0;
      }
    }
    this.#running = false;
  }
}
