/** A load as a process of its own: started with options and the app's environment, told to stop by the end of its stdin. */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";

/** The loads that speak the SDK, or are spoken to; the file of the same name is the process. */
export type LoadName = "messages" | "audit" | "writes" | "target" | "flags" | "slow";

export interface Hand extends AsyncDisposable {
  readonly name: LoadName;
  readonly pid: number;
  /** What it said when it was ready: the target's port. */
  readonly said: string;
  /** Tells it something: one line on its stdin. */
  tell(line: string): void;
  /** Lets it finish what is under way, and write down the rest. Rejects when it fails at that. */
  stop(): Promise<void>;
}

const readyTimeoutMs = 20_000;
const stopTimeoutMs = 60_000;

export async function startHand(
  name: LoadName,
  options: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>>,
): Promise<Hand> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/${name}.ts`, JSON.stringify(options)], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const late = setTimeout(() => child.kill("SIGKILL"), readyTimeoutMs);
  const lines = createInterface({ input: Readable.fromWeb(child.stdout as never) });
  const { value: said, done } = await lines[Symbol.asyncIterator]().next();
  clearTimeout(late);
  if (done) throw new Error(`the load ${name} ended before it was ready`);
  let stopped: Promise<void> | undefined;
  const end = async () => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    const code = await child.exited;
    clearTimeout(timer);
    if (code !== 0) throw new Error(`the load ${name} ended with ${child.signalCode ?? code}`);
  };
  return {
    name,
    pid: child.pid,
    said: String(said),
    tell(line) {
      child.stdin.write(`${line}\n`);
      child.stdin.flush();
    },
    stop: () => (stopped ??= end()),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
