/** Makes the home folder ready, or says why it cannot be: what is wrong, where, and what to try. */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { basename, dirname, join } from "node:path";
import { NinesError, systemCode, toError } from "../std/errors.ts";
import { readJson, writeAtomic, writeJson } from "../std/file.ts";
import { type Ground, type Home, layoutVersion, toGround, toHome } from "../wire/home.ts";
import type { Config } from "./config.ts";

export interface Prepared {
  readonly home: Home;
  /** The admin token, when this very call made it; it is shown once. */
  readonly newToken: string | undefined;
}

/** Makes folders, secrets and ports where they are missing. Throws `invalid` or `unavailable`. */
export async function prepareHome(config: Config): Promise<Prepared> {
  const home = toHome(config.home);
  const root = process.getuid?.() === 0;
  try {
    mkdirSync(home.root, { recursive: true, mode: 0o711 });
    if (statSync(home.root).uid !== process.getuid?.()) {
      throw new NinesError("forbidden", `the home folder ${home.root} belongs to another user`, {
        hint: "run as that user, or set NINES_HOME to a folder of your own",
      });
    }
    if (root) chmodSync(home.root, 0o711);
    checkVersion(home);
    for (const folder of [
      "run",
      "log",
      "log/apps",
      "secrets",
      "replica",
      "mesh",
      "broker",
      "agent",
      "uploads",
    ]) {
      mkdirSync(join(home.root, folder), { recursive: true, mode: 0o700 });
    }
    const ground = groundOf(home);
    for (const folder of [ground.root, ground.builds, ground.instances]) {
      mkdirSync(folder, { recursive: true, mode: 0o711 });
      if (root) chmodSync(folder, 0o711);
    }
    makeSecret(home.secret, 32);
    makeSecret(home.databasePassword, 24);
    const made = makeSecret(home.token, 24);
    await choosePorts(config, home);
    return { home, newToken: made };
  } catch (error) {
    throw explain(error, home.root);
  }
}

/** The folder that unprivileged users can reach: the home, or, when the way to it is closed to them, one in /var/lib. */
export function groundOf(home: Home): Ground {
  if (process.getuid?.() !== 0 || isReachable(home.root)) return toGround(home.root);
  return toGround(join("/var/lib/nines", `${basename(dirname(home.root)) || "root"}-${hash(home.root)}`));
}

/** The secret that the platform's parts share. */
export function readSecret(home: Home): string {
  return readFileSync(home.secret, "utf8").trim();
}

/** The port that was picked for a name, or the one that the config fixes. */
export function portOf(home: Home, name: string): number {
  const stored = readJson(home.ports);
  const port = stored.kind === "value" ? (stored.value as Record<string, unknown>)[name] : undefined;
  if (typeof port !== "number")
    throw new NinesError("unavailable", `no port was chosen for ${name}; run nines up`);
  return port;
}

/** A free port on the host, as the kernel gives it. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port: 0 }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

async function choosePorts(config: Config, home: Home): Promise<void> {
  const stored = readJson(home.ports);
  const known = stored.kind === "value" ? (stored.value as Record<string, number>) : {};
  const chosen: Record<string, number> = {};
  const choose = async (name: string, fixed: number, host: string) => {
    chosen[name] = fixed || known[name] || (await freePort(host));
  };
  await choose("router", config.port, config.host);
  await choose("api", config.apiPort, config.host);
  await choose("postgres", 0, "127.0.0.1");
  for (let i = 1; i <= config.brokers; i++) await choose(`broker.${i}`, 0, "127.0.0.1");
  for (let i = 1; i <= config.controllers; i++) await choose(`controller.${i}`, 0, "127.0.0.1");
  if (JSON.stringify(chosen) !== JSON.stringify(known)) writeJson(home.ports, chosen);
}

function checkVersion(home: Home): void {
  if (!existsSync(home.version)) return writeAtomic(home.version, `${layoutVersion}\n`);
  const text = readFileSync(home.version, "utf8").trim();
  if (text === "") return writeAtomic(home.version, `${layoutVersion}\n`);
  const found = Number(text);
  if (!Number.isInteger(found) || found > layoutVersion) {
    throw new NinesError(
      "invalid",
      `${home.version} says "${text.slice(0, 40)}", this version of Nines reads up to ${layoutVersion}`,
      {
        hint: "the home is from a newer version: upgrade Nines, or set NINES_HOME to another folder",
      },
    );
  }
}

function makeSecret(path: string, bytes: number): string | undefined {
  if (existsSync(path) && readFileSync(path, "utf8").trim().length >= 16) {
    chmodSync(path, 0o600);
    return undefined;
  }
  const secret = randomBytes(bytes).toString("base64url");
  writeAtomic(path, `${secret}\n`, { mode: 0o600, durable: true });
  return secret;
}

function isReachable(path: string): boolean {
  for (let at = path; at !== "/"; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}

function hash(text: string): string {
  return Bun.hash.crc32(text).toString(16).padStart(8, "0");
}

function explain(error: unknown, root: string): NinesError {
  if (error instanceof NinesError) return error;
  const why: Record<string, [string, string]> = {
    EACCES: ["this user may not write there", "set NINES_HOME to a folder of your own"],
    EPERM: ["this user may not write there", "set NINES_HOME to a folder of your own"],
    EROFS: ["it lies on a read-only file system", "set NINES_HOME to a folder that can be written"],
    ENOSPC: ["its disk is full", "free some space, then try again"],
    EDQUOT: ["the disk quota is used up", "free some space, then try again"],
    ENOTDIR: ["a part of that path is a file", "set NINES_HOME to a folder"],
    EEXIST: ["a file of that name is in the way", "set NINES_HOME to a folder"],
  };
  const [what, hint] = why[systemCode(error) ?? ""] ?? [
    toError(error).message,
    "set NINES_HOME to another folder",
  ];
  return new NinesError("unavailable", `the home folder ${root} cannot be used: ${what}`, {
    cause: error,
    hint,
  });
}
