/**
 * How topics and channels look in JetStream. A stream for each topic, with one subject; a message stays while a
 * consumer has not acked it. So that what comes before the first channel waits for it, a new stream gets a
 * consumer that nobody reads, and that goes when the first channel comes.
 */
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { toError } from "../std/errors.ts";
import { brokerLimits, clientLimits } from "./limits.ts";
import { isEphemeral } from "./protocol.ts";

/** Holds what nobody reads yet. No channel's name can be the same: `=` stands for their dots. */
const backlog = "=backlog=";
const nsPerMs = 1_000_000;
/** How long a server keeps an ephemeral consumer that asks for nothing; its own being stopped counts, so it is long. */
const lingerMs = 10_000;

export class NatsTopics {
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #known = new Map<string, Promise<void>>();
  #manager: Promise<JetStreamManager> | undefined;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    this.#client = jetstream(connection);
  }

  /** Resolves when the server has it. */
  async publish(topic: string, body: Buffer, timeoutMs: number): Promise<void> {
    await this.#ensure(topic);
    try {
      await this.#client.publish(toSubject(topic), body, { timeout: timeoutMs });
    } catch (error) {
      // Somebody may have deleted the stream; the next one makes it again.
      this.#known.delete(topic);
      throw error;
    }
  }

  /** Makes the channel when it is new; the first one of a topic gets what has waited. */
  async openChannel(topic: string, channel: string, visibilityTimeoutMs: number): Promise<void> {
    await this.#ensure(topic);
    const manager = await this.#toManager();
    const stream = toName(topic);
    const name = toName(channel);
    const names: string[] = [];
    for await (const { name: existing } of manager.consumers.list(stream)) names.push(existing);
    if (names.includes(name)) return;
    const first = names.every((existing) => existing === backlog);
    const ephemeral = isEphemeral(channel) || isEphemeral(topic);
    await manager.consumers.add(stream, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: first && !isEphemeral(topic) ? DeliverPolicy.All : DeliverPolicy.New,
      ack_wait: visibilityTimeoutMs * nsPerMs,
      max_ack_pending: brokerLimits.ephemeralMessagesMax,
      max_waiting: 512,
      ...(ephemeral ? { mem_storage: true, inactive_threshold: lingerMs * nsPerMs } : {}),
    } satisfies Partial<ConsumerConfig>);
    if (names.includes(backlog)) await manager.consumers.delete(stream, backlog).catch(() => false);
  }

  async deleteChannel(topic: string, channel: string): Promise<void> {
    await (await this.#toManager()).consumers.delete(toName(topic), toName(channel));
  }

  #toManager(): Promise<JetStreamManager> {
    this.#manager ??= jetstreamManager(this.#connection, { timeout: clientLimits.deadAfterMs });
    return this.#manager;
  }

  #ensure(topic: string): Promise<void> {
    const known = this.#known.get(topic);
    if (known !== undefined) return known;
    const made = this.#make(topic);
    this.#known.set(topic, made);
    made.catch(() => {
      this.#known.delete(topic);
      this.#manager = undefined;
    });
    return made;
  }

  async #make(topic: string): Promise<void> {
    const manager = await this.#toManager();
    const name = toName(topic);
    const exists = await manager.streams.info(name).then(
      () => true,
      () => false,
    );
    if (exists) return;
    await unlessThere(manager.streams.add(toStreamConfig(topic)));
    if (isEphemeral(topic)) return;
    await unlessThere(manager.consumers.add(name, { durable_name: backlog, ack_policy: AckPolicy.Explicit }));
  }
}

/** One token, whatever dots the name has. */
export function toName(name: string): string {
  return name.replaceAll(".", "=");
}

function toSubject(topic: string): string {
  return `nines.${toName(topic)}`;
}

function toStreamConfig(topic: string): Partial<StreamConfig> & { readonly name: string } {
  const common = { name: toName(topic), subjects: [toSubject(topic)], retention: RetentionPolicy.Interest };
  return isEphemeral(topic)
    ? {
        ...common,
        storage: StorageType.Memory,
        discard: DiscardPolicy.Old,
        max_msgs: brokerLimits.ephemeralMessagesMax,
        max_bytes: brokerLimits.ephemeralBytesMax,
      }
    : {
        ...common,
        storage: StorageType.File,
        discard: DiscardPolicy.New,
        max_msgs: brokerLimits.topicMessagesMax,
        max_bytes: brokerLimits.journalBytesMax,
      };
}

/** Two processes may make the same thing at once. */
async function unlessThere(made: Promise<unknown>): Promise<void> {
  try {
    await made;
  } catch (error) {
    if (!/already in use|already exists/i.test(toError(error).message)) throw error;
  }
}
