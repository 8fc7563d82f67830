/** Where the platform is, and with which token: from the environment and the home folder. */
import { readFileSync } from "node:fs";
import { NinesError, systemCode } from "../std/errors.ts";
import { readJson } from "../std/file.ts";
import { type Home, toHome } from "../wire/home.ts";
import { appName } from "../wire/records.ts";
import { Client, type Reach } from "./client.ts";
import type { Env } from "./command.ts";
import { isRunning, notRunning } from "./kernel.ts";
import { UsageError } from "./usage.ts";

export interface Context {
  readonly home: Home;
  readonly client: Client;
}

/** Throws `invalid` when the environment is not usable. */
export async function createContext(env: Env): Promise<Context> {
  const { parseConfig } = await import("../platform/config.ts");
  const config = parseConfig(env);
  const home = toHome(config.home);
  if (env.NINES_API_URL && !/^https?:\/\/[^/]/.test(env.NINES_API_URL)) {
    throw new NinesError(
      "invalid",
      `NINES_API_URL="${env.NINES_API_URL}" is not an http:// or https:// address`,
    );
  }
  const host = ["0.0.0.0", "::", ""].includes(config.host) ? "127.0.0.1" : config.host;
  const reach = (): Reach => ({
    url: (env.NINES_API_URL || `http://${host}:${portIn(home, "api") ?? config.apiPort}`).replace(/\/+$/, ""),
    ...readToken(home, env),
    absent: () => (env.NINES_API_URL || isRunning(home) ? undefined : notRunning(home)),
  });
  return { home, client: new Client(reach) };
}

/** The app that a command is about. */
export function chooseApp(flag: unknown, env: Env): string {
  const name = typeof flag === "string" ? flag : env.NINES_APP;
  if (name === undefined || name === "") throw new UsageError("which app? add -a APP, or set NINES_APP");
  if (!appName.test(name)) {
    throw new UsageError(
      `"${name}" cannot be the name of an app`,
      "a name has lower-case letters, digits and dashes, starts with a letter, and is at most 30 long",
    );
  }
  return name;
}

/** A port that the platform has picked and remembered. */
export function portIn(home: Home, name: string): number | undefined {
  const stored = readJson(home.ports);
  const port = stored.kind === "value" ? (stored.value as Record<string, unknown> | null)?.[name] : undefined;
  return typeof port === "number" && port > 0 ? port : undefined;
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname.startsWith("127.") || hostname === "[::1]";
}

function readToken(home: Home, env: Env): Pick<Reach, "token" | "tokenFrom"> {
  if (env.NINES_TOKEN) return { token: env.NINES_TOKEN, tokenFrom: "NINES_TOKEN" };
  // This home's token is for this home's platform; it is not shown to another machine.
  if (env.NINES_API_URL && !isLoopback(env.NINES_API_URL)) {
    return { token: undefined, tokenFrom: "NINES_API_URL names another machine, and NINES_TOKEN is not set" };
  }
  try {
    const token = readFileSync(home.token, "utf8").trim();
    return token === ""
      ? { token: undefined, tokenFrom: `${home.token} is empty` }
      : { token, tokenFrom: home.token };
  } catch (error) {
    if (systemCode(error) === "ENOENT") {
      if (env.NINES_API_URL === undefined && !isRunning(home)) throw notRunning(home);
      return { token: undefined, tokenFrom: `there is no file ${home.token}` };
    }
    if (systemCode(error) !== "EACCES") throw error;
    throw new NinesError("forbidden", `this user may not read ${home.token}`, {
      cause: error,
      hint: "run as the user that runs Nines, or set NINES_TOKEN",
    });
  }
}
