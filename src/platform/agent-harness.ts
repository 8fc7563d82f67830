/** For the tests of the agent's process: all that it talks to, real but for the controller's database. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Broker, type Bus, newest, startBroker, startBus } from "../bus/bus.ts";
import { findByEnviron, identify } from "../os/proc.ts";
import { systemClock } from "../std/clock.ts";
import { readJson, writeJson } from "../std/file.ts";
import { createLog } from "../std/log.ts";
import { type Home, toAgentMark, toHome } from "../wire/home.ts";
import { type Instance, parseInstanceMessage, topics } from "../wire/messages.ts";
import { parseConfig } from "./config.ts";
import { groundOf, prepareHome, readSecret } from "./home.ts";
import { partCommand } from "./spawn.ts";

/** A home with brokers, a feed of the registry, and as many agents, one after another, as the test wants. */
export class Machine implements AsyncDisposable {
  readonly home: Home;
  readonly config: ReturnType<typeof parseConfig>;
  readonly values = new Map<string, unknown>();
  #revision = 1;
  #feed: ReturnType<typeof Bun.serve> | undefined;
  #brokers: Broker[] = [];
  readonly #readers = new Set<ReadableStreamDefaultController<string>>();
  #beats: ReturnType<typeof setInterval> | undefined;
  bus: Bus | undefined;
  /** As told on the bus. */
  table: readonly Instance[] = [];

  private constructor(root: string) {
    this.config = parseConfig({ NINES_HOME: root, NINES_PORT: "0", NINES_API_PORT: "0", NINES_BROKERS: "2" });
    this.home = toHome(root);
  }

  static async start(): Promise<Machine> {
    const machine = new Machine(mkdtempSync(join(tmpdir(), "nines-agent-")));
    await prepareHome(machine.config);
    await machine.startBrokers();
    machine.startFeed();
    machine.bus = await startBus({
      brokers: async () =>
        machine.#brokers.map(({ port }, i) => ({ id: `broker.${i + 1}`, host: "127.0.0.1", port })),
      secret: readSecret(machine.home),
      sender: "test",
      clock: systemClock,
      random: Math.random,
      log: createLog({}, () => {}),
    });
    machine.bus.subscribe(
      topics.instances,
      "broadcast",
      (message) => {
        machine.table = parseInstanceMessage(message).instances;
      },
      { filter: newest("agent") },
    );
    return machine;
  }

  async startBrokers(): Promise<void> {
    for (let i = 1; i <= 2; i++) {
      const broker = await startBroker({
        ...{ host: "127.0.0.1", port: 0, secret: readSecret(this.home), clock: systemClock },
        log: createLog({}, () => {}),
      });
      this.#brokers.push(broker);
      this.#announce("broker", i, { port: broker.port });
    }
  }

  async stopBrokers(): Promise<void> {
    for (const broker of this.#brokers) await broker[Symbol.asyncDispose]();
    this.#brokers = [];
  }

  /** What a controller serves, for a registry that is a map here. */
  startFeed(): void {
    const readers = this.#readers;
    const fetch = () => {
      const revision = this.#revision;
      const entries = [...this.values].map(([path, value]) => ({ kind: "entry", path, value, revision }));
      const lines = [{ kind: "snapshot", revision }, ...entries, { kind: "end", revision }, this.#beat()];
      const stream = new ReadableStream<string>({
        start(controller) {
          readers.add(controller);
          for (const line of lines) controller.enqueue(`${JSON.stringify(line)}\n`);
        },
      });
      return new Response(stream.pipeThrough(new TextEncoderStream()));
    };
    this.#feed = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 60, fetch });
    this.#beats = setInterval(() => this.#send(this.#beat()), 500);
    this.#announce("controller", 1, { internalPort: this.#feed.port });
  }

  async stopFeed(): Promise<void> {
    clearInterval(this.#beats);
    this.#readers.clear();
    await this.#feed?.stop(true);
    this.#feed = undefined;
  }

  /** One commit to the registry. */
  set(values: Readonly<Record<string, unknown>>): void {
    this.#revision++;
    for (const [path, value] of Object.entries(values)) {
      if (value === null) this.values.delete(path);
      else this.values.set(path, value);
      this.#send({ kind: "change", path, value, revision: this.#revision, at: Date.now() });
    }
    this.#send(this.#beat());
  }

  #beat() {
    return { kind: "beat", revision: this.#revision, at: Date.now() };
  }

  #send(line: object): void {
    for (const reader of this.#readers) {
      try {
        reader.enqueue(`${JSON.stringify(line)}\n`);
      } catch {
        this.#readers.delete(reader);
      }
    }
  }

  spawnAgent(): Bun.Subprocess {
    const { command, args, env, cwd } = partCommand(this.config, "agent", "agent");
    const log = Bun.file(this.home.partLog("agent"));
    return Bun.spawn([command, ...args], { cwd, env, stdin: "ignore", stdout: log, stderr: log });
  }

  async ready(agent: Bun.Subprocess): Promise<void> {
    await until("agent ready", () => {
      const file = readJson(this.home.partFile("agent"));
      return file.kind === "value" && (file.value as { pid?: number }).pid === agent.pid;
    });
  }

  up(): Instance | undefined {
    return this.table.find(({ state }) => state === "up");
  }

  #announce(kind: "broker" | "controller", index: number, more: object): void {
    const id = `${kind}.${index}`;
    writeJson(this.home.partFile(id), { id, kind, ...identify(process.pid), ...more });
  }

  processes() {
    return findByEnviron("NINES_AGENT", toAgentMark(this.home.root));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bus?.[Symbol.asyncDispose]();
    await this.stopFeed();
    await this.stopBrokers();
    for (const { pid } of [...findByEnviron("NINES_HOME", this.home.root), ...this.processes()]) kill(pid);
    const ground = groundOf(this.home).root;
    for (const root of [this.home.root, ground]) rmSync(root, { recursive: true, force: true });
  }
}

function kill(pid: number): void {
  if (pid !== process.pid && identify(pid) !== undefined) process.kill(pid, "SIGKILL");
}

export async function until<T>(
  what: string,
  check: () => T | undefined | false,
  withinMs = 60_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = check();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await Bun.sleep(10);
  }
}
