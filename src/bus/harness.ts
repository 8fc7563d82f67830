/** What the tests of the bus share: real brokers in real processes, and waiting without sleeping. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../std/clock.ts";
import { createLog } from "../std/log.ts";
import { type Bus, type BusOptions, startBus } from "./bus.ts";
import type { BrokerLimits } from "./limits.ts";
import type { BrokerAddress } from "./roster.ts";

export const secret = "the secret of these tests";
export const quiet = createLog({}, () => {});

/** Resolves once the condition holds; rejects, saying what was waited for, when it does not in time. */
export async function until(what: string, holds: () => boolean, timeoutMs = 30_000): Promise<void> {
  const deadlineAt = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > deadlineAt) throw new Error(`in ${timeoutMs} ms it did not happen: ${what}`);
    await systemClock.sleep(5);
  }
}

export interface BrokerProcess extends AsyncDisposable {
  readonly address: BrokerAddress;
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
  kill(): Promise<void>;
  /** Starts it again, at the same port or another. */
  restart(port?: number): Promise<void>;
}

/** What the brokers of a rig are: the embedded one, or Debian's nats-server with JetStream. */
export type Driver = "nsq" | "nats";

/** Those that can be had here. */
export const drivers: readonly Driver[] = Bun.which("nats-server", { PATH: `${process.env.PATH}:/usr/sbin` })
  ? ["nsq", "nats"]
  : ["nsq"];

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
}

async function startEmbedded(port: number, env: Readonly<Record<string, string>>): Promise<Started> {
  const child = spawn(process.execPath, [`${import.meta.dir}/broker-process.ts`], {
    stdio: ["ignore", "pipe", process.env.BUS_VERBOSE ? "inherit" : "ignore"],
    env: { ...process.env, BUS_SECRET: secret, ...env, BUS_PORT: String(port) },
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, port: Number(/port=(\d+)/.exec(line.toString())?.[1]) };
}

/** Port 0 lets the system choose, which nats-server calls -1. */
async function startNats(
  port: number,
  folder: string,
  { BUS_CERT, BUS_KEY }: Readonly<Record<string, string>>,
): Promise<Started> {
  const args = ["-a", "127.0.0.1", "-p", String(port || -1), "-js", "-sd", folder, "--auth", secret];
  if (BUS_CERT !== undefined && BUS_KEY !== undefined)
    args.push("--tls", "--tlscert", BUS_CERT, "--tlskey", BUS_KEY);
  const child = spawn("nats-server", args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error(`nats-server ended: ${said}`)));
    child.stderr.on("data", (chunk) => {
      if (said.length < 20_000) said += chunk;
      if (said.includes("Server is ready")) resolve();
    });
  });
  return { child, port: Number(/client connections on [^:]+:(\d+)/.exec(said)?.[1]) };
}

export async function spawnBroker(
  id: string,
  env: Readonly<Record<string, string>> = {},
  driver: Driver = "nsq",
): Promise<BrokerProcess> {
  const folder = driver === "nats" ? mkdtempSync(join(tmpdir(), "nines-nats-")) : undefined;
  const start = (port: number) =>
    folder === undefined ? startEmbedded(port, env) : startNats(port, folder, env);
  let { child, port } = await start(0);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return {
    get address() {
      return { id, host: "127.0.0.1", port };
    },
    get pid() {
      return child.pid ?? 0;
    },
    signal: (name) => void child.kill(name),
    kill,
    async restart(at = port) {
      await kill();
      ({ child, port } = await start(at));
    },
    async [Symbol.asyncDispose]() {
      await kill();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Several brokers and whoever is connected to them; all gone at the end of the test. */
export async function startRig(
  count: number,
  options: {
    readonly dir?: string;
    readonly limits?: Partial<BrokerLimits>;
    readonly driver?: Driver;
  } = {},
) {
  const names = Array.from({ length: count }, (_, index) => `broker.${index + 1}`);
  const toEnv = (name: string) => ({
    BUS_LIMITS: JSON.stringify(options.limits ?? {}),
    ...(options.dir === undefined ? {} : { BUS_DIR: join(options.dir, name) }),
  });
  const brokers = await Promise.all(names.map((name) => spawnBroker(name, toEnv(name), options.driver)));
  const buses: Bus[] = [];
  const read = async () => brokers.map((broker) => broker.address);
  return {
    brokers,
    async bus(sender: string, given: Partial<BusOptions> = {}): Promise<Bus> {
      const bus = await startBus({
        brokers: read,
        secret,
        sender,
        driver: options.driver ?? "nsq",
        clock: systemClock,
        random: Math.random,
        log: process.env.BUS_VERBOSE ? createLog({ bus: sender }) : quiet,
        ...given,
      });
      buses.push(bus);
      return bus;
    },
    /** The broker that a sender uses while all are well. */
    preferredBy(bus: Bus): BrokerProcess {
      const id = bus.state().brokers[0]?.id;
      return brokers.find((broker) => broker.address.id === id) as BrokerProcess;
    },
    async [Symbol.asyncDispose]() {
      for (const bus of buses) await bus[Symbol.asyncDispose]();
      for (const broker of brokers) await broker[Symbol.asyncDispose]();
    },
  };
}

export function connectedCount(bus: Bus): number {
  return bus.state().brokers.filter((broker) => broker.state === "connected").length;
}
