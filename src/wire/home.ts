/** Where everything lies in the home folder. Paths only; nothing here touches the disk. */
import { createHash } from "node:crypto";
import { join } from "node:path";

/** Raised when an older version could not read what a newer one writes. */
export const layoutVersion = 1;

export interface Home {
  readonly root: string;
  readonly version: string;
  /** The admin token: one line, mode 0600. */
  readonly token: string;
  /** Shared by the platform's own parts, mode 0600: bus, feed. */
  readonly secret: string;
  /** Password of the embedded PostgreSQL, mode 0600. */
  readonly databasePassword: string;
  /** Ports that were picked, by name, so that they stay the same. */
  readonly ports: string;
  readonly run: string;
  /** Held (flock) by the one kernel of this home. */
  readonly kernelLock: string;
  /** The kernel's control socket: HTTP. */
  readonly kernelSocket: string;
  /** The parts as the kernel last saw them, and how often each was restarted; gone after an orderly shutdown. */
  readonly status: string;
  /** Exists while an orderly shutdown is wanted: a kernel that finds it stops everything. */
  readonly stopping: string;
  /** State files of the supervisors, one folder each. */
  readonly supervisor: (name: string) => string;
  readonly partFile: (id: string) => string;
  readonly beat: (id: string) => string;
  readonly partLog: (id: string) => string;
  /** The agent's own socket, for attached runs: HTTP. */
  readonly agentSocket: string;
  readonly log: string;
  /** Lines of an app's instances and of the agent about it. */
  readonly appLog: (app: string) => string;
  /** What a build, a release phase or a detached run wrote. */
  readonly jobLog: (id: string) => string;
  readonly replica: (id: string) => string;
  readonly meshTable: (id: string) => string;
  /** A router's own socket, for its metrics: HTTP. */
  readonly routerSocket: (id: string) => string;
  readonly broker: (id: string) => string;
  /** The platform's own writes that wait while the database is away. */
  readonly spool: string;
  /** The agent's table of instances, for readers when nothing answers. */
  readonly agentTable: string;
  /** Uploaded sources, by sha256. */
  readonly upload: (sha256: string) => string;
  readonly uploads: string;
  /** Certificates of the routers: HOST.crt and HOST.key as PEM; `_.example.com` stands for `*.example.com`. */
  readonly certs: string;
}

export function toHome(root: string): Home {
  const at = (...names: string[]) => join(root, ...names);
  return {
    root,
    version: at("VERSION"),
    token: at("token"),
    secret: at("secrets", "platform"),
    databasePassword: at("secrets", "postgres"),
    ports: at("ports.json"),
    run: at("run"),
    kernelLock: at("run", "kernel.lock"),
    kernelSocket: at("run", "kernel.sock"),
    status: at("run", "status.json"),
    stopping: at("run", "stopping"),
    supervisor: (name) => at("run", "supervisor", name),
    partFile: (id) => at("run", `${id}.json`),
    beat: (id) => at("run", `${id}.beat`),
    partLog: (id) => at("log", `${id}.log`),
    agentSocket: at("run", "agent.sock"),
    log: at("log"),
    appLog: (app) => at("log", "apps", `${app}.log`),
    jobLog: (id) => at("log", "jobs", `${id}.log`),
    replica: (id) => at("replica", `${id}.json`),
    meshTable: (id) => at("mesh", `${id}.json`),
    routerSocket: (id) => at("run", `${id}.sock`),
    broker: (id) => at("broker", id),
    spool: at("spool"),
    agentTable: at("agent", "table.json"),
    upload: (sha256) => at("uploads", `${sha256}.tgz`),
    uploads: at("uploads"),
    certs: at("certs"),
  };
}

/** Where users other than the platform's own must read: builds, instances, the database. */
export interface Ground {
  readonly root: string;
  readonly postgres: string;
  readonly builds: string;
  readonly instances: string;
  /** The flags, for instances: in a folder of its own, which they may watch. */
  readonly flags: string;
  /** What is turned of the apps' valves, beside it. */
  readonly valves: string;
}

export function toGround(root: string): Ground {
  return {
    root,
    postgres: join(root, "postgres"),
    builds: join(root, "builds"),
    instances: join(root, "instances"),
    flags: join(root, "flags", "flags.json"),
    valves: join(root, "flags", "valves.json"),
  };
}

/** What the processes of a home's apps say in NINES_AGENT: enough to be known by, and no path or secret. */
export function toAgentMark(home: string): string {
  return createHash("sha256").update(home).digest("hex").slice(0, 16);
}
