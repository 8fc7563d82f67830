/** From a command line to an exit code. */
import type { Call, Command, Env } from "./command.ts";
import { chooseApp, createContext } from "./context.ts";
import { exitCodes, explain, toExitCode } from "./exit.ts";
import { Output, type Stream } from "./output.ts";
import { parseArguments } from "./parse.ts";
import { openStream } from "./stream.ts";
import { suggest, toHelp, UsageError } from "./usage.ts";

export type Table = Readonly<Record<string, readonly [string, () => Promise<Command>]>>;

/** Runs one command to its end; everything that goes wrong is said on stderr. */
export async function main(
  table: Table,
  argv: readonly string[],
  env: Env,
  streams: { stdout: Stream; stderr: Stream } = {
    stdout: openStream(process.stdout),
    stderr: openStream(process.stderr),
  },
): Promise<number> {
  const out = new Output(streams.stdout, streams.stderr, env);
  try {
    return await dispatch(table, argv, env, out);
  } catch (error) {
    explain(error, out);
    return toExitCode(error);
  }
}

async function dispatch(table: Table, argv: readonly string[], env: Env, out: Output): Promise<number> {
  const [given = "help", ...rest] = argv;
  if (["help", "-h", "--help"].includes(given)) return help(table, rest, out);
  const { name, words } = await spell(table, given, rest);
  const entry = find(table, name);
  const command = await entry[1]();
  const parsed = parseArguments(name, command.flags, command.args, command.places, words);
  if (parsed.kind === "help") {
    out.stdout.write(toHelp(name, entry[0], command));
    return exitCodes.done;
  }
  const call: Call = {
    flags: parsed.flags as Call["flags"],
    args: parsed.args,
    out,
    env,
    app: () => chooseApp(parsed.flags.app, env),
    ...(await createContext(env)),
  };
  return (await command.run(call)) ?? exitCodes.done;
}

/** `nines domains add` is `nines domains:add`, where `domains` itself takes no argument that `add` could be. */
async function spell(
  table: Table,
  given: string,
  rest: readonly string[],
): Promise<{ readonly name: string; readonly words: readonly string[] }> {
  if (given === "-v" || given === "--version") return { name: "version", words: rest };
  const [word = "", ...words] = rest;
  const longer = `${given}:${word}`;
  if (!Object.hasOwn(table, longer)) return { name: given, words: rest };
  const plain = Object.hasOwn(table, given) ? await table[given]?.[1]() : undefined;
  return plain === undefined || plain.args.max === 0 ? { name: longer, words } : { name: given, words: rest };
}

async function help(table: Table, names: readonly string[], out: Output): Promise<number> {
  const [name] = names;
  if (name !== undefined && !name.startsWith("-")) {
    const [summary, load] = find(table, name);
    out.stdout.write(toHelp(name, summary, await load()));
    return exitCodes.done;
  }
  const width = Math.max(...Object.keys(table).map((key) => key.length));
  out.line("nines: an always-on platform for your own machines\n");
  for (const [key, [summary]] of Object.entries(table)) out.line(`  ${key.padEnd(width)}  ${summary}`);
  out.line(
    "\nnines COMMAND --help says more. The home of the platform is NINES_HOME (~/.nines when it is not set).",
  );
  return exitCodes.done;
}

function find(table: Table, name: string): readonly [string, () => Promise<Command>] {
  const entry = Object.hasOwn(table, name) ? table[name] : undefined;
  if (entry !== undefined) return entry;
  const near = suggest(name, Object.keys(table));
  throw new UsageError(
    `there is no command "${name}"`,
    near === undefined ? "nines help lists them all" : `did you mean nines ${near}?`,
  );
}
