/**
 * Steady load on one app, from a process of its own, with every outcome known. `take()` gives what happened
 * since the last take; a test compares counts and, for a kill, when each failed request was under way.
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { LoadOptions, Order, Summary, Word } from "./records.ts";

export { type Failure, type Summary, wallMs } from "./records.ts";

export interface Load extends AsyncDisposable {
  readonly pid: number;
  /** What happened since the last take. Requests under way count when they end. */
  take(): Promise<Summary>;
  /** Requests a second from now on. */
  setRate(rate: number): void;
  /** Ends the load, lets what is under way finish, and gives the rest. */
  stop(): Promise<Summary>;
}

const defaults = {
  rate: 200,
  mix: { get_kept: 4, get_new: 2, post_kept: 2, post_new: 1 },
  sockets: 0,
  timeoutMs: 20_000,
  path: "/",
} as const;

export async function startLoad(
  target: Pick<LoadOptions, "port" | "app"> & Partial<LoadOptions>,
): Promise<Load> {
  const child = Bun.spawn(
    [process.execPath, `${import.meta.dir}/main.ts`, JSON.stringify({ ...defaults, ...target })],
    {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const words = createInterface({ input: Readable.fromWeb(child.stdout as never) })[Symbol.asyncIterator]();
  const next = async (): Promise<Word> => {
    const { value, done } = await words.next();
    if (done) throw new Error("the load process ended by itself");
    return JSON.parse(value as string) as Word;
  };
  const ask = async (order: "take" | "stop"): Promise<Summary> => {
    child.stdin.write(`${JSON.stringify({ order })}\n`);
    child.stdin.flush();
    const word = await next();
    if (word.word === "ready") throw new Error("the load process was ready twice");
    return word.summary;
  };
  await next();
  let stopped: Promise<Summary> | undefined;
  const stop = () => (stopped ??= ask("stop"));
  return {
    pid: child.pid,
    take: () => ask("take"),
    setRate(rate) {
      const order: Order = { order: { rate } };
      child.stdin.write(`${JSON.stringify(order)}\n`);
      child.stdin.flush();
    },
    stop,
    async [Symbol.asyncDispose]() {
      await Promise.race([stop().catch(() => {}), Bun.sleep(12_000)]);
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
