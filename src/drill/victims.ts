/** Whom the killing scenarios kill, how they find it, and when they call it back. */
import { identify, isAlive, readStat } from "../os/proc.ts";
import type { Instance } from "../wire/messages.ts";
import type { PartStatus } from "../wire/part.ts";
import type { Platform } from "./platform.ts";

/** Everything that may be killed at one moment. */
export interface Scene {
  readonly parts: readonly PartStatus[];
  readonly instances: readonly Instance[];
}

export interface Victim {
  readonly name: string;
  /** What may fail with it: nothing, whatever was in flight in it, or the POSTs that it held. */
  readonly costs: "nothing" | "inflight" | "posts";
  choose(scene: Scene, round: number): readonly number[];
}

const parts = (ids: (round: number) => readonly string[]) => (scene: Scene, round: number) =>
  ids(round).map((id) => {
    const part = scene.parts.find((one) => one.name === id);
    if (typeof part?.pid !== "number") throw new Error(`no part ${id} to kill`);
    return part.pid;
  });
const oneOf = (kind: string, count: number) => (round: number) => [`${kind}.${1 + (round % count)}`];

export const instance: Victim = {
  name: "instance",
  costs: "posts",
  choose: ({ instances }, round) => {
    const web = instances.filter((one) => one.type === "web");
    return [(web[round % web.length] as Instance).pid];
  },
};
/** Whoever of the app listens: what is published now waits in the brokers. */
export const worker: Victim = {
  name: "all workers",
  costs: "nothing",
  choose: ({ instances }) => instances.filter((one) => one.type === "worker").map((one) => one.pid),
};
export const router: Victim = { name: "router", costs: "inflight", choose: parts(oneOf("router", 2)) };
export const broker: Victim = { name: "broker", costs: "nothing", choose: parts(oneOf("broker", 3)) };
export const brokers: Victim = {
  name: "all brokers",
  costs: "nothing",
  choose: parts(() => ["broker.1", "broker.2", "broker.3"]),
};
export const controller: Victim = {
  name: "controller",
  costs: "nothing",
  choose: parts(oneOf("controller", 2)),
};
export const controllers: Victim = {
  name: "both controllers",
  costs: "nothing",
  choose: parts(() => ["controller.1", "controller.2"]),
};
export const relay: Victim = { name: "relay", costs: "nothing", choose: parts(oneOf("relay", 2)) };
export const relays: Victim = {
  name: "both relays",
  costs: "nothing",
  choose: parts(() => ["relay.1", "relay.2"]),
};
export const agent: Victim = { name: "agent", costs: "nothing", choose: parts(() => ["agent"]) };
export const kernel: Victim = { name: "kernel", costs: "nothing", choose: parts(() => ["kernel"]) };
export const heart: Victim = { name: "heart", costs: "nothing", choose: parts(() => ["heart"]) };
export const postgres: Victim = { name: "postgres", costs: "nothing", choose: parts(() => ["postgres"]) };

export const kinds: readonly Victim[] = [
  instance,
  router,
  broker,
  brokers,
  controller,
  controllers,
  relay,
  relays,
  agent,
  kernel,
  heart,
  postgres,
];

export function both(one: Victim, other: Victim): Victim {
  const order = ["nothing", "posts", "inflight"] as const;
  const costs = order[Math.max(order.indexOf(one.costs), order.indexOf(other.costs))] ?? "inflight";
  return {
    name: `${one.name} + ${other.name}`,
    costs,
    choose: (scene, round) => [...new Set([...one.choose(scene, round), ...other.choose(scene, round)])],
  };
}

/** Every pair of different kinds, less those where one contains the other. */
export const pairs: readonly Victim[] = kinds.flatMap((one, at) =>
  kinds.slice(at + 1).flatMap((other) => {
    const overlap =
      (one === broker && other === brokers) ||
      (one === controller && other === controllers) ||
      (one === relay && other === relays);
    return overlap ? [] : [both(one, other)];
  }),
);

/** A look at everything, once it is whole: every part up, the wanted instances up, and nobody believed to be who was killed. */
export async function look(
  platform: Platform,
  app: string,
  wanted: number,
  killed: readonly number[],
): Promise<Scene | undefined> {
  const [list, instances] = await Promise.all([platform.parts(), platform.instances(app)]);
  const up = instances.filter(
    (one) => one.state === "up" && isAlive(identify(one.pid) ?? { pid: 0, startTime: 0 }),
  );
  if (list.length < 10 || list.some((part) => part.state !== "up" || part.pid === null)) return undefined;
  if ([...list, ...instances].some((one) => killed.includes(one.pid ?? 0))) return undefined;
  return up.length === wanted && instances.length === wanted ? { parts: list, instances: up } : undefined;
}

/** When a process was started, in ms since boot, in the kernel's ticks of 10 ms. */
export function startedMs(pid: number): number | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : stat.startTime * 10;
}

/** Instances and parts that were not hit and yet are not the same any more. */
export function survivors(before: Scene, after: Scene, hit: readonly number[]): string[] {
  const instances = before.instances
    .filter((one) => !hit.includes(one.pid))
    .filter((one) => !after.instances.some((now) => now.id === one.id && now.pid === one.pid));
  const parts = before.parts
    .filter((one) => !hit.includes(one.pid as number))
    .filter((one) => !after.parts.some((now) => now.name === one.name && now.pid === one.pid));
  return [...instances, ...parts].map((one) => one.name);
}
