/** What a command is: data, and a `run`. The parser, the help and the errors all read the same data. */
import type { Home } from "../wire/home.ts";
import type { Client } from "./client.ts";
import type { Output } from "./output.ts";

export type Env = Readonly<Record<string, string | undefined>>;

export type Flag =
  | { readonly kind: "switch"; readonly short?: string; readonly summary: string }
  | { readonly kind: "text"; readonly short?: string; readonly value: string; readonly summary: string }
  | {
      readonly kind: "number";
      readonly short?: string;
      readonly value: string;
      readonly summary: string;
      readonly min: number;
      readonly max: number;
    };

export type Flags = Readonly<Record<string, Flag>>;

export type Values<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends { kind: "switch" }
    ? boolean
    : F[K] extends { kind: "number" }
      ? number | undefined
      : string | undefined;
};

/** Everything a running command may touch. */
export interface Call<F extends Flags = Flags> {
  readonly flags: Values<F>;
  /** What is neither a flag nor its value; `--` ends the flags. */
  readonly args: readonly string[];
  readonly out: Output;
  readonly env: Env;
  readonly home: Home;
  readonly client: Client;
  /** The app of `-a` or NINES_APP; a usage error when neither is given. */
  readonly app: () => string;
}

export interface Command<F extends Flags = Flags> {
  /** What stands behind the name in the usage line: `[DIR]`, `KEY=VALUE…`. */
  readonly places: string;
  readonly args: { readonly min: number; readonly max: number };
  readonly flags: F;
  /** More for `--help`, below the flags. */
  readonly notes?: string;
  /** Returns the exit code; nothing is 0. */
  run(call: Call<F>): Promise<number | undefined>;
}

/** Declares a command; its flags give the call its types. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command {
  return command as unknown as Command;
}

export const noArgs = { min: 0, max: 0 } as const;

export const jsonFlag = { kind: "switch", summary: "print JSON for programs" } as const;

export const appFlag = {
  kind: "text",
  short: "a",
  value: "APP",
  summary: "the app (or set NINES_APP)",
} as const;

/** What most commands about an app take. */
export const appFlags = { app: appFlag, json: jsonFlag } as const;
