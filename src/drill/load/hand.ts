/** The inside of a load process: options from argv, a journal, orders from stdin until it ends. */
import { createInterface } from "node:readline";
import { Journal } from "./journal.ts";

export interface Work<O> {
  readonly options: O;
  readonly journal: Journal;
  /** Aborts when the drill wants the load to end, or is gone itself. */
  readonly signal: AbortSignal;
  /** The load does its work from now on. */
  ready(said?: string): void;
  onOrder(handle: (line: string) => void): void;
}

/** Runs the load to its end and exits; what it has written down is on the disk by then. */
export async function work<O extends { readonly journal: string }>(
  run: (work: Work<O>) => Promise<void>,
): Promise<never> {
  const options = JSON.parse(process.argv[2] ?? "{}") as O;
  const ending = new AbortController();
  let handle: (line: string) => void = () => {};
  const orders = createInterface({ input: process.stdin });
  orders.on("line", (line) => handle(line));
  orders.on("close", () => ending.abort());
  const journal = new Journal(options.journal);
  await run({
    options,
    journal,
    signal: ending.signal,
    ready: (said = "ready") => process.stdout.write(`${said}\n`),
    onOrder: (given) => {
      handle = given;
    },
  });
  journal[Symbol.dispose]();
  process.exit(0);
}
