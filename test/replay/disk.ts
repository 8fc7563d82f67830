/**
 * The disk that everything on one machine shares: it does one thing at a time, in the order in which it is asked. What
 * a boot writes and what a request writes wait in one queue, as they did in 2012.
 */
import { chmodSync } from "node:fs";

interface Task {
  readonly ms: number;
  readonly done: () => void;
  readonly isWanted: () => boolean;
}

export class Disk implements Disposable {
  readonly path: string;
  /** The longest that the queue was since `look`, in milliseconds of work. */
  #worstMs = 0;
  #queuedMs = 0;
  readonly #queue: Task[] = [];
  #busy = false;
  #clients = 0;
  readonly #listener: ReturnType<typeof Bun.listen>;

  constructor(path: string) {
    this.path = path;
    this.#listener = Bun.listen<{ open: boolean; text: string }>({
      unix: path,
      socket: {
        open: (socket) => {
          this.#clients++;
          socket.data = { open: true, text: "" };
        },
        // A line is `ID MILLISECONDS`, and so is its answer when it is done.
        data: (socket, bytes) => {
          const lines = (socket.data.text + bytes.toString()).split("\n");
          socket.data.text = lines.pop() ?? "";
          for (const line of lines) {
            const ms = Number(line.split(" ")[1]);
            const isWanted = () => socket.data.open;
            this.#take({ ms, isWanted, done: () => void socket.write(`${line}\n`) });
          }
        },
        close: (socket) => {
          this.#clients--;
          socket.data.open = false;
        },
        error: () => {},
      },
    });
    chmodSync(path, 0o777);
  }

  /** How many processes have it open. */
  get clients(): number {
    return this.#clients;
  }

  /** The longest queue since the last look. */
  look(): number {
    const worstMs = this.#worstMs;
    this.#worstMs = this.#queuedMs;
    return Math.round(worstMs);
  }

  #take(task: Task): void {
    this.#queue.push(task);
    this.#queuedMs += task.ms;
    this.#worstMs = Math.max(this.#worstMs, this.#queuedMs);
    if (!this.#busy) this.#turn();
  }

  #turn(): void {
    const task = this.#queue.shift();
    this.#busy = task !== undefined;
    if (task === undefined) return;
    const end = () => {
      this.#queuedMs -= task.ms;
      if (task.isWanted()) task.done();
      this.#turn();
    };
    if (task.isWanted()) setTimeout(end, task.ms);
    else queueMicrotask(end);
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }
}
