/** The embedded PostgreSQL as a child of the kernel, which judges it by its status file and never talks to it. */
import { rmSync } from "node:fs";
import { writeJson } from "../std/file.ts";
import type { ChildSpec } from "../supervisor/supervisor.ts";
import type { Home } from "../wire/home.ts";
import type { Config } from "./config.ts";
import { portOf } from "./home.ts";
import { type PostgresCommand, preparePostgres, readyTimeoutMs } from "./postgres.ts";
import { findServerProcesses } from "./postgres-leftovers.ts";
import type { TreeDeps } from "./tree.ts";

const tidyIntervalMs = 60_000;

export function postgresChild(config: Config, home: Home, { clock, log, processes }: TreeDeps): ChildSpec {
  let made: { readonly command: PostgresCommand; readonly spec: ChildSpec } | undefined;

  const make = async () => {
    const began = clock.now();
    const port = portOf(home, "postgres");
    const command = await preparePostgres({
      dir: `${config.home}/postgres`,
      port,
      passwordFile: home.databasePassword,
    });
    // The server bounds each of its log files, but never removes one.
    setInterval(() => command.tidy(), tidyIntervalMs).unref();
    log.info("postgres_prepared", { ms: Math.round(clock.now() - began) });
    const { command: file, args, cwd, uid, gid } = command;
    const spec = processes.child({
      id: "postgres",
      command: file,
      args,
      cwd,
      env: { ...command.env, NINES_HOME: config.home, NINES_PART: "postgres" },
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      stdout: home.partLog("postgres"),
      stderr: home.partLog("postgres"),
      stopSignal: "SIGINT",
      shutdown: 10_000,
      startTimeoutMs: readyTimeoutMs,
      async ready(identity, signal) {
        await command.ready(identity, clock, signal);
        writeJson(home.partFile("postgres"), { id: "postgres", kind: "postgres", ...identity, port });
      },
    });
    return { command, spec };
  };

  return {
    id: "postgres",
    shutdown: 10_000,
    async start(signal) {
      made ??= await make();
      const { command, spec } = made;
      // A server that serves is adopted; what a killed one left would keep the next from starting.
      if (!findServerProcesses(command.dataDir).some((one) => command.isReady(one)))
        await command.clear(clock);
      rmSync(home.partFile("postgres"), { force: true });
      return spec.start(signal);
    },
  };
}
