/**
 * Real controllers for tests: processes of their own on a real database and a real broker. What the agent and
 * the routers would say is said by a `Puppet`, which does what the registry wants, when the test lets it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { TestPostgres } from "../../test/postgres.ts";
import { type Bus, startBroker, startBus } from "../bus/bus.ts";
import { identify } from "../os/proc.ts";
import { type Replica, startReplica } from "../registry/registry.ts";
import { systemClock } from "../std/clock.ts";
import { writeJson } from "../std/file.ts";
import { createLog } from "../std/log.ts";
import type { Home } from "../wire/home.ts";
import {
  type Instance,
  type InstanceState,
  type JobReport,
  toInstanceMessage,
  toJobMessage,
  topics,
  toRouterMessage,
} from "../wire/messages.ts";
import type { PartKind } from "../wire/part.ts";
import { parseJob, parseRollout, type Rollout } from "../wire/records.ts";
import { type Config, parseConfig, toEnv } from "./config.ts";
import { controllerAddresses } from "./directory.ts";
import { prepareHome } from "./home.ts";

const silent = createLog({}, () => {});

export interface Controllers extends AsyncDisposable {
  readonly home: Home;
  readonly base: string;
  readonly token: string;
  readonly databaseUrl: string;
  readonly puppet: Puppet;
  /** A controller, unless it is said to be another kind of part. */
  start(id: string, kind?: PartKind): Promise<void>;
  pid(id: string): number;
  kill(id: string, name: NodeJS.Signals): void;
  /** JSON in, JSON out, with the token; asked again while no controller answers. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of any shape.
  readonly body: any;
  readonly headers: Headers;
}

/** Starts `ids` on a new database; resolves when one of them leads and all serve. */
export async function startControllers(postgres: TestPostgres, ids: readonly string[]): Promise<Controllers> {
  const stack = new AsyncDisposableStack();
  const root = mkdtempSync(join(tmpdir(), "nines-control-"));
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const url = await postgres.createDatabase();
  const env = { ...process.env, NINES_HOME: root, NINES_PORT: "0", NINES_API_PORT: "0", DATABASE_URL: url };
  const config = parseConfig(env);
  const { home } = await prepareHome(config);
  const ports = JSON.parse(readFileSync(home.ports, "utf8")) as Record<string, number>;
  const secret = readFileSync(home.secret, "utf8").trim();
  const broker = stack.use(
    await startBroker({ host: "127.0.0.1", port: 0, secret, clock: systemClock, log: silent }),
  );
  const self = { pid: process.pid, startTime: identify(process.pid)?.startTime ?? 0 };
  writeJson(home.partFile("broker.1"), { id: "broker.1", kind: "broker", ...self, port: broker.port });

  const children = new Map<string, Subprocess>();
  const log = join(root, "log");
  mkdirSync(log, { recursive: true });
  const start = async (id: string, kind: PartKind = "controller") => {
    const output = Bun.file(join(log, `${id}.log`));
    const main = join(import.meta.dir, "main.ts");
    const child = Bun.spawn([process.execPath, main, kind, id], {
      env: toEnv(config, env),
      stdout: output,
      stderr: output,
    });
    children.set(id, child);
    await until(`${id} serves`, () => (JSON.parse(readPart(home, id)) as { pid: number }).pid === child.pid);
  };
  stack.defer(async () => {
    for (const child of children.values()) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await child.exited;
    }
  });
  await Promise.all(ids.map((id) => start(id)));

  const base = `http://127.0.0.1:${ports.api}`;
  const token = readFileSync(home.token, "utf8").trim();
  const ask: Controllers["ask"] = async (method, path, body, headers = {}) => {
    const type = body === undefined ? {} : { "content-type": "application/json" };
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch(base + path, {
          method,
          headers: { authorization: `Bearer ${token}`, ...type, ...headers },
          signal: AbortSignal.timeout(10_000),
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        return { status: response.status, body: toJson(text), headers: response.headers };
      } catch (error) {
        if (attempt === 20) throw error;
        await Bun.sleep(50);
      }
    }
  };
  const puppet = stack.use(await startPuppet(config, home, secret));
  await until("one leads", async () => (await ask("GET", "/v1/status")).body.leader !== null);
  return {
    home,
    base,
    token,
    databaseUrl: url,
    puppet,
    start,
    ask,
    pid: (id) => children.get(id)?.pid ?? 0,
    kill: (id, name) => void children.get(id)?.kill(name),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The agent and two routers, as far as controllers hear of them. */
export class Puppet implements AsyncDisposable {
  /** Set by tests: what a new instance is, and how a job ends; undefined leaves it running. */
  becomes: (instance: Instance) => InstanceState = () => "up";
  ends: (job: string) => Partial<JobReport> | undefined = () => ({ state: "exited", exit: 0 });
  /** False: the routers say nothing of what they have applied since. */
  applies = true;
  readonly #bus: Bus;
  readonly #replica: Replica;
  readonly #timer: Timer;
  #seq = Date.now() * 1_000;
  #revision = 0;

  constructor(bus: Bus, replica: Replica) {
    this.#bus = bus;
    this.#replica = replica;
    this.#timer = setInterval(() => this.#report(), 50);
  }

  get replica(): Replica {
    return this.#replica;
  }

  rollout(app: string): Rollout | undefined {
    const value = this.#replica.get(`/apps/${app}/rollout`)?.value;
    return value === undefined ? undefined : parseRollout(value);
  }

  #report(): void {
    if (this.applies) this.#revision = this.#replica.revision;
    const instances = this.#wanted().map((one) => ({ ...one, state: this.becomes(one) }));
    const tell = (topic: string, message: Record<string, string>) =>
      void this.#bus.publish(topic, message, { deadlineMs: 500 }).catch(() => {});
    const seq = ++this.#seq;
    tell(topics.instances, toInstanceMessage({ agent: "agent", seq, complete: true, instances }));
    for (const router of ["router.1", "router.2"]) {
      tell(topics.routers, toRouterMessage({ router, seq, revision: this.#revision, drained: [] }));
    }
    for (const entry of this.#replica.list("/jobs/")) {
      const { id } = parseJob(entry.value);
      const end = this.ends(id) ?? { state: "running" };
      const report: JobReport = {
        job: id,
        seq,
        state: "running",
        exit: 0,
        reason: "",
        at: Date.now(),
        ...end,
      };
      tell(topics.jobs, toJobMessage(report));
    }
  }

  /** As the engine reads the registry: current, and the target while it starts or switches. */
  #wanted(): readonly Instance[] {
    return this.#replica.list("/apps/").flatMap((entry) => {
      const app = /^\/apps\/([^/]+)$/.exec(entry.path)?.[1];
      if (app === undefined) return [];
      const rollout = this.rollout(app);
      const current = this.#replica.get(`/apps/${app}/current`)?.value as Rollout["target"] | undefined;
      const starts = rollout?.state === "starting" || rollout?.state === "switching";
      const running = [current, starts ? rollout.target : undefined].filter((one) => one !== undefined);
      const formation = (this.#replica.get(`/apps/${app}/formation`)?.value ?? {}) as Record<string, number>;
      const each = new Map(running.map((one) => [`${one.release}.${one.generation}`, one]));
      return [...each.values()].flatMap((target) =>
        Object.entries(formation).flatMap(([type, count]) =>
          Array.from({ length: count }, (_, index) => toInstance(app, type, index + 1, target)),
        ),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#replica[Symbol.asyncDispose]();
    await this.#bus[Symbol.asyncDispose]();
  }
}

async function startPuppet(config: Config, home: Home, secret: string): Promise<Puppet> {
  const part = JSON.parse(readPart(home, "broker.1")) as { port: number };
  const bus = await startBus({
    brokers: async () => [{ id: "broker.1", host: "127.0.0.1", port: part.port }],
    secret,
    sender: "agent",
    clock: systemClock,
    random: Math.random,
    log: silent,
  });
  const replica = startReplica({
    sources: async () =>
      (await controllerAddresses(config, home)).map((one) => `http://${one.host}:${one.port}`),
    secret,
    file: home.replica("agent"),
    clock: systemClock,
    random: Math.random,
    log: silent,
    fetch: (target, init) => fetch(target, init),
  });
  return new Puppet(bus, replica);
}

function toInstance(app: string, type: string, number: number, target: Rollout["target"]): Instance {
  return {
    id: `${app}-${type}-${number}-${target.release}-${target.generation}`,
    app,
    name: `${type}.${number}`,
    type,
    ...target,
    host: "127.0.0.1",
    port: 20_000 + number,
    pid: 1,
    state: "starting",
    since: Date.now(),
    attempts: 2,
    nextTryAt: 0,
    reason: "",
  };
}

/** Resolves once it holds; throws after a minute, which a busy machine may need. What throws does not hold yet. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      if (await holds()) return;
    } catch {
      // Not yet.
    }
    if (performance.now() > deadline) throw new Error(`not within 60 s: ${what}`);
    await Bun.sleep(10);
  }
}

/** A gzipped archive of the files. */
export async function toArchive(files: Record<string, string>): Promise<Uint8Array> {
  const { create } = await import("tar");
  const folder = mkdtempSync(join(tmpdir(), "nines-archive-"));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const parts: Uint8Array[] = [];
    for await (const part of create({ gzip: true, cwd: folder, portable: true }, Object.keys(files))) {
      parts.push(part as Uint8Array);
    }
    return Buffer.concat(parts);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readPart(home: Home, id: string): string {
  return readFileSync(home.partFile(id), "utf8");
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
