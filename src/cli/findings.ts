/** What `nines doctor` looks at: the runtime, the home and its disk, the ports; and the machine (machine.ts). */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { systemCode } from "../std/errors.ts";
import type { Home } from "../wire/home.ts";
import { portIn } from "./context.ts";
import type { Finding, Wanted } from "./finding.ts";
import { isRunning } from "./kernel.ts";
import { clock, ephemeralPorts, memory, migration, openFiles, user } from "./machine.ts";
import { toBytes } from "./progress.ts";

const diskAdvisedBytes = 2e9;
const diskNeededBytes = 200e6;

/** Looks at everything; nothing is changed. */
export async function findings(wanted: Wanted, home: Home): Promise<readonly Finding[]> {
  return [
    runtime(),
    folder(home),
    disk(home),
    memory(),
    openFiles(),
    ...(await ports(wanted, home)),
    ephemeralPorts(wanted),
    migration(),
    user(wanted),
    clock(),
  ];
}

function runtime(): Finding {
  const pinned = manifest.dependencies.bun;
  return Bun.version === pinned
    ? { level: "ok", what: "runtime", found: `Bun ${Bun.version}, the pinned one` }
    : {
        level: "problem",
        what: "runtime",
        found: `Bun ${Bun.version}, where ${pinned} is pinned`,
        advice: "run npm ci in the folder of Nines, and start it through bin/nines",
      };
}

function folder(home: Home): Finding {
  const what = "home";
  if (!existsSync(home.root)) {
    const above = nearest(home.root);
    return mayWrite(above)
      ? { level: "ok", what, found: `${home.root}, to be made` }
      : {
          level: "problem",
          what,
          found: `${above} cannot be written`,
          advice: "set NINES_HOME to a folder of your own",
        };
  }
  if (statSync(home.root).uid !== process.getuid?.()) {
    return {
      level: "problem",
      what,
      found: `${home.root} belongs to another user`,
      advice: "run as that user, or set NINES_HOME",
    };
  }
  if (!mayWrite(home.root)) {
    return {
      level: "problem",
      what,
      found: `${home.root} cannot be written`,
      advice: `chmod u+rwx ${home.root}`,
    };
  }
  const open = [home.token, home.secret, home.databasePassword].filter(
    (path) => existsSync(path) && (statSync(path).mode & 0o077) !== 0,
  );
  return open.length === 0
    ? { level: "ok", what, found: home.root }
    : {
        level: "problem",
        what,
        found: `other users can read ${open.join(", ")}`,
        advice: `chmod 600 ${open.join(" ")}, and change the token: remove the file, then nines down, nines up`,
      };
}

function disk(home: Home): Finding {
  const place = nearest(home.root);
  const { bavail, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const found = `${toBytes(free)} free at ${place}`;
  if (free < diskNeededBytes) {
    return {
      level: "problem",
      what: "disk",
      found,
      advice: "free some space: builds, the database and logs go there",
    };
  }
  return free < diskAdvisedBytes
    ? {
        level: "advice",
        what: "disk",
        found,
        advice: "the last ten builds of each app are kept: 2 GB are soon used",
      }
    : { level: "ok", what: "disk", found };
}

async function ports(wanted: Wanted, home: Home): Promise<readonly Finding[]> {
  if (isRunning(home)) {
    const found = `${portIn(home, "router") ?? "?"} and ${portIn(home, "api") ?? "?"}, used by Nines`;
    return [{ level: "ok", what: "ports", found }];
  }
  const list = [
    ["NINES_PORT", wanted.port || portIn(home, "router") || 0],
    ["NINES_API_PORT", wanted.apiPort || portIn(home, "api") || 0],
  ] as const;
  return await Promise.all(
    list.map(async ([variable, port]): Promise<Finding> => {
      const what = `port ${port || "of its choice"} (${variable})`;
      const code = await tryListen(wanted.host, port);
      if (code === undefined) return { level: "ok", what, found: "free" };
      const found = code === "EADDRINUSE" ? "used by another program" : code;
      const advice =
        code === "EACCES"
          ? "ports below 1024 need root, or sysctl net.ipv4.ip_unprivileged_port_start=80"
          : `set ${variable} to another port, or stop what uses it (ss -ltnp shows it)`;
      return { level: "problem", what, found, advice };
    }),
  );
}

function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve(systemCode(error) ?? error.message));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The path itself, or the nearest folder above it that exists. */
function nearest(path: string): string {
  let at = path;
  while (!existsSync(at) && at !== dirname(at)) at = join(dirname(at));
  return at;
}
