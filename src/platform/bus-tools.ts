/**
 * What an operator does with the bus of this home: with the brokers themselves, so that it works while every
 * controller is away. Needs the platform's secret, as the user that runs Nines has it.
 */
import { randomBytes } from "node:crypto";
import { type Bus, startBus } from "../bus/bus.ts";
import { systemClock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import { createLog } from "../std/log.ts";
import type { Home } from "../wire/home.ts";
import type { Message } from "../wire/messages.ts";
import type { Config } from "./config.ts";
import { brokerAddresses } from "./directory.ts";
import { readSecret } from "./home.ts";
import { livingPart } from "./kernel-client.ts";

const askTimeoutMs = 2_000;

export interface ChannelRow {
  readonly channel_name: string;
  readonly depth: number;
  readonly oldest_ms: number;
  readonly in_flight_count: number;
  readonly deferred_count: number;
  readonly message_count: number;
  readonly finish_count: number;
  readonly client_count: number;
  readonly paused: boolean;
}

export interface TopicRow {
  readonly topic_name: string;
  readonly depth: number;
  readonly oldest_ms: number;
  readonly backend_bytes: number;
  readonly message_count: number;
  readonly refused_count: number;
  readonly channels: readonly ChannelRow[];
}

export type BrokerRow =
  | {
      readonly id: string;
      readonly state: "up";
      readonly held_bytes: number;
      readonly connections: number;
      readonly topics: readonly TopicRow[];
    }
  | { readonly id: string; readonly state: "away"; readonly reason: string };

/** Every broker that should be there. */
export function readBrokers(config: Config, home: Home): Promise<readonly BrokerRow[]> {
  const ids = Array.from({ length: config.brokers }, (_, index) => `broker.${index + 1}`);
  return Promise.all(
    ids.map(async (id): Promise<BrokerRow> => {
      try {
        const stats = await ask(home, id, "GET", "/stats?format=json");
        return {
          id,
          state: "up",
          ...(JSON.parse(stats) as Omit<BrokerRow & { state: "up" }, "id" | "state">),
        };
      } catch (error) {
        return { id, state: "away", reason: toError(error).message };
      }
    }),
  );
}

/** Tells every broker; how many of them had it to do. */
export async function administer(
  config: Config,
  home: Home,
  verb: "pause" | "unpause" | "delete",
  topic: string,
  channel: string,
): Promise<number> {
  const query = `topic=${encodeURIComponent(topic)}&channel=${encodeURIComponent(channel)}`;
  let done = 0;
  for (const broker of await readBrokers(config, home)) {
    if (broker.state !== "up") continue;
    const known = broker.topics.find(({ topic_name }) => topic_name === topic)?.channels ?? [];
    if (!known.some(({ channel_name }) => channel_name === channel)) continue;
    await ask(home, broker.id, "POST", `/channel/${verb}?${query}`);
    done++;
  }
  return done;
}

/** This command's own end of the bus. */
export async function openToolBus(config: Config, home: Home): Promise<Bus> {
  return startBus({
    brokers: () => brokerAddresses(config, home),
    secret: readSecret(home),
    sender: `cli.${randomBytes(4).toString("hex")}`,
    clock: systemClock,
    random: Math.random,
    log: createLog({}, () => {}),
  });
}

/**
 * Takes out what waits in a channel, oldest first of each broker, and gives it to `take`; what that takes is
 * gone from the channel. Ends when no broker that lives has any left.
 */
export async function drain(
  config: Config,
  home: Home,
  from: { readonly topic: string; readonly channel: string; readonly max: number },
  take: (message: Message) => Promise<void>,
): Promise<number> {
  const { topic, channel, max } = from;
  const bus = await openToolBus(config, home);
  let taken = 0;
  let failure: Error | undefined;
  const handler = async (message: Message, delivery: { nack(delayMs?: number): void }) => {
    if (taken >= max || failure !== undefined) return delivery.nack(0);
    taken++;
    try {
      await take(message);
    } catch (error) {
      taken--;
      failure = toError(error);
      delivery.nack(0);
    }
  };
  try {
    const subscription = bus.subscribe(topic, channel, handler, { credit: 1, attemptsMax: 60_000 });
    await subscription.whenJoined(askTimeoutMs);
    while (taken < max && failure === undefined && (await countLeft(config, home, topic, channel)) > 0) {
      await systemClock.sleep(100);
    }
    if (failure !== undefined) throw failure;
    return taken;
  } finally {
    await bus[Symbol.asyncDispose]();
  }
}

async function countLeft(config: Config, home: Home, topic: string, channel: string): Promise<number> {
  let left = 0;
  for (const broker of await readBrokers(config, home)) {
    if (broker.state !== "up") continue;
    const channels = broker.topics.find(({ topic_name }) => topic_name === topic)?.channels ?? [];
    const row = channels.find(({ channel_name }) => channel_name === channel);
    left += (row?.depth ?? 0) + (row?.in_flight_count ?? 0) + (row?.deferred_count ?? 0);
  }
  return left;
}

async function ask(home: Home, id: string, method: string, path: string): Promise<string> {
  const port = livingPart(home, id)?.internalPort;
  if (port === undefined) throw new NinesError("unavailable", `${id} does not run`, { blame: "platform" });
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${readSecret(home)}` },
    signal: AbortSignal.timeout(askTimeoutMs),
  });
  const text = await response.text();
  if (response.ok) return text;
  throw new NinesError("unavailable", `${id} answered ${response.status}: ${text.trim()}`, {
    blame: "platform",
  });
}
