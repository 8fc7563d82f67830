/** One process of a bench: started on its core, waited for until it serves, stopped at the end. */
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";

export interface ProcessOptions {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** stdout and stderr. */
  readonly log: string;
  /** The core it is pinned to; undefined leaves it free. */
  readonly core: number | undefined;
  /** Where it listens; "printed" when it prints the port that it took as its first line. */
  readonly port: number | "printed";
}

export interface BenchProcess extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

const startTimeoutMs = 60_000;

export async function startProcess(options: ProcessOptions): Promise<BenchProcess> {
  const log = openSync(options.log, "a");
  const child = Bun.spawn(onCore(options.core, options.command), {
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  const stop = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 2_000);
    await child.exited;
    clearTimeout(late);
  };
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const port =
      options.port === "printed" ? Number(readFileSync(options.log, "utf8").split("\n")[0]) : options.port;
    if (port > 0 && (await isListening(port))) return { pid: child.pid, port, [Symbol.asyncDispose]: stop };
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`${options.command.join(" ")} does not serve: ${readFileSync(options.log, "utf8")}`);
    }
    await Bun.sleep(20);
  }
}

export function onCore(core: number | undefined, command: readonly string[]): string[] {
  return core === undefined ? [...command] : ["taskset", "-c", String(core), ...command];
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
