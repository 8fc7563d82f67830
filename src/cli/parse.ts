/** Reads a command line by the command's own data; pure. Strict: what it does not know, it refuses. */
import type { Flag, Flags } from "./command.ts";
import { suggest, UsageError } from "./usage.ts";

export type Parsed =
  | { readonly kind: "help" }
  | {
      readonly kind: "call";
      readonly flags: Readonly<Record<string, string | number | boolean | undefined>>;
      readonly args: readonly string[];
    };

/** Flags may stand anywhere before `--`; what follows it is never a flag. Throws UsageError. */
export function parseArguments(
  name: string,
  flags: Flags,
  bounds: { readonly min: number; readonly max: number },
  places: string,
  argv: readonly string[],
): Parsed {
  const found: Record<string, string | number | boolean | undefined> = {};
  for (const [flag, spec] of Object.entries(flags)) found[flag] = spec.kind === "switch" ? false : undefined;
  const args: string[] = [];

  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--") {
      args.push(...argv.slice(at + 1));
      break;
    }
    if (word === "-h" || word === "--help") return { kind: "help" };
    if (!word.startsWith("-") || word === "-") {
      args.push(word);
      continue;
    }
    const { flag, spec, attached } = lookUp(name, flags, word);
    if (spec.kind === "switch") {
      if (attached !== undefined) throw new UsageError(`--${flag} takes no value, "${attached}" was given`);
      found[flag] = true;
      continue;
    }
    const value = attached ?? argv[++at];
    if (value === undefined || (attached === undefined && value.startsWith("-") && value !== "-")) {
      throw new UsageError(`${word} needs a value: ${word} ${spec.value}`);
    }
    found[flag] = spec.kind === "number" ? toNumber(word, spec, value) : value;
  }

  const usage = `usage: nines ${name} ${places}`.trimEnd();
  if (args.length < bounds.min) throw new UsageError(`nines ${name} needs ${places || "more"}`, usage);
  if (args.length > bounds.max) {
    const extra = args.slice(bounds.max).map((arg) => JSON.stringify(arg));
    throw new UsageError(`nines ${name} does not know what to do with ${extra.join(", ")}`, usage);
  }
  return { kind: "call", flags: found, args };
}

/** `--name`, `--name=value`, `-n`, `-n5`. */
function lookUp(
  name: string,
  flags: Flags,
  word: string,
): { flag: string; spec: Flag; attached: string | undefined } {
  const equals = word.indexOf("=");
  if (word.startsWith("--")) {
    const flag = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const spec = Object.hasOwn(flags, flag) ? flags[flag] : undefined;
    if (spec !== undefined) return { flag, spec, attached: equals < 0 ? undefined : word.slice(equals + 1) };
    throw unknown(name, flags, `--${flag}`);
  }
  const entry = Object.entries(flags).find(([, spec]) => spec.short === word[1]);
  if (entry === undefined) throw unknown(name, flags, word);
  const attached = word.length > 2 ? word.slice(2) : undefined;
  if (entry[1].kind === "switch" && attached !== undefined) throw unknown(name, flags, word);
  return { flag: entry[0], spec: entry[1], attached };
}

function unknown(name: string, flags: Flags, word: string): UsageError {
  const near = suggest(
    word.replace(/^-+/, ""),
    Object.keys(flags).filter((flag) => word.startsWith("--") || flag[0] === word[1]),
  );
  const help = name.startsWith("run")
    ? `flags of the command itself go behind --, as in: nines ${name} -- ls -la`
    : `nines ${name} --help shows its flags`;
  const hint = near === undefined ? help : `did you mean --${near}?`;
  return new UsageError(`nines ${name} has no flag ${word}`, hint);
}

function toNumber(word: string, spec: Flag & { kind: "number" }, text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < spec.min || number > spec.max) {
    throw new UsageError(`${word} takes a whole number from ${spec.min} to ${spec.max}, not "${text}"`);
  }
  return number;
}
