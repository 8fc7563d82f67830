/**
 * A real, embedded PostgreSQL for tests: its own folder, its own port, an unprivileged user.
 *
 *     await using postgres = await startTestPostgres();      // ~0.7 s; one for a test file
 *     const url = await postgres.createDatabase();           // ~30 ms; one for a test; empty
 *     const copy = await postgres.createDatabase("mine");    // cloned from the database `mine`, which nobody uses
 *     await postgres.kill("SIGKILL");                        // resolves when the server is gone
 *     await postgres.start();                                // the same cluster, the same port
 *     postgres.stop() and postgres.resume()                  // SIGSTOP and SIGCONT, the backends too: half-open
 *
 * In bun:test: `let postgres: TestPostgres; beforeAll(async () => { postgres = await startTestPostgres(); });
 * afterAll(() => postgres[Symbol.asyncDispose]());`
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import postgresClient from "postgres";
import { type Identity, identify, signal } from "../src/os/proc.ts";
import { type PostgresCommand, preparePostgres } from "../src/platform/postgres.ts";
import { findServerProcesses } from "../src/platform/postgres-leftovers.ts";
import { systemClock } from "../src/std/clock.ts";

export interface TestPostgres extends AsyncDisposable {
  readonly command: PostgresCommand;
  /** The running server; undefined while it is down. */
  identity(): Identity | undefined;
  /** Starts it again after `kill`; resolves when it accepts connections. */
  start(): Promise<void>;
  /** Sends the signal to the server alone and waits for its end. SIGINT is a clean shutdown. */
  kill(name: "SIGKILL" | "SIGINT" | "SIGQUIT"): Promise<void>;
  /** Freezes it and all its backends: connections stay open and nobody answers. */
  stop(): void;
  resume(): void;
  /** Makes a database of its own, empty or a clone of `template`, and returns its URL. */
  createDatabase(template?: string): Promise<string>;
}

/** In a new temporary folder, or in `home` (as `preparePostgres` left it); either is removed at the end. */
export async function startTestPostgres(home = makeHome()): Promise<TestPostgres> {
  // Tests kill processes, not the machine: what was written survives that without being flushed to the disk.
  mkdirSync(join(home, "postgres"), { recursive: true, mode: 0o755 });
  writeFileSync(join(home, "postgres", "local.conf"), "fsync = off\n", { mode: 0o644 });
  const command = await preparePostgres({
    dir: join(home, "postgres"),
    port: await freePort(),
    passwordFile: join(home, "postgres.password"),
  });
  let child: ChildProcess | undefined;
  let exited: Promise<unknown> = Promise.resolve();
  let databases = 0;

  const identity = () => (child?.pid === undefined ? undefined : identify(child.pid));
  const signalAll = (name: NodeJS.Signals) => {
    for (const one of findServerProcesses(command.dataDir)) signal(one, name);
  };

  const server: TestPostgres = {
    command,
    identity,
    async start() {
      await command.clear(systemClock);
      const started = spawn(command.command, command.args, {
        cwd: command.cwd,
        env: command.env,
        stdio: ["ignore", "ignore", "pipe"],
        ...(command.uid === undefined ? {} : { uid: command.uid, gid: command.gid }),
      });
      child = started;
      exited = new Promise((resolve) => started.once("exit", resolve));
      const who = identity();
      if (who === undefined) throw new Error("postgres did not start");
      let said = "";
      started.stderr?.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-4_000);
      });
      await command.ready(who, systemClock).catch((cause: unknown) => {
        throw new Error(`postgres did not start: ${said}`, { cause });
      });
    },
    async kill(name) {
      const who = identity();
      if (who === undefined) return;
      signal(who, name);
      await exited;
      child = undefined;
    },
    stop: () => signalAll("SIGSTOP"),
    resume: () => signalAll("SIGCONT"),
    async createDatabase(template = "template1") {
      const name = `test_${++databases}`;
      const sql = postgresClient(command.url(), { max: 1, onnotice: () => {} });
      try {
        await sql.unsafe(`create database ${name} template ${template}`);
      } finally {
        await sql.end();
      }
      return command.url(name);
    },
    async [Symbol.asyncDispose]() {
      signalAll("SIGCONT");
      await server.kill("SIGQUIT");
      await command.clear(systemClock);
      rmSync(dirname(command.dataDir), { recursive: true, force: true });
      rmSync(home, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

/** A temporary folder that an unprivileged user can reach. */
export function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), "nines-postgres-"));
  chmodSync(home, 0o711);
  return home;
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
