import type { Clock } from "../std/clock.ts";
import { Channel, type Member } from "./channel.ts";
import { Deque } from "./deque.ts";
import type { Journal } from "./journal.ts";
import type { BrokerLimits } from "./limits.ts";
import { isEphemeral, type Refusal, refuse } from "./protocol.ts";
import type { Budgets, StoredMessage } from "./stored.ts";

export interface TopicOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly limits: BrokerLimits;
  readonly budgets: Budgets;
  readonly journal: Journal | undefined;
  /** Its last channel is gone, and it keeps nothing. */
  readonly onEmpty: () => void;
  /** It kept so many messages for nobody. */
  readonly onUnheard: (messages: number) => void;
}

/**
 * One stream of messages: gives each channel its own copy. What comes before the first channel waits for it.
 * An ephemeral topic keeps nothing of its own, and is gone with its last channel.
 */
export class Topic {
  readonly name: string;
  readonly ephemeral: boolean;
  readonly counters = { published: 0, refused: 0 };
  readonly #options: TopicOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #backlog = new Deque<StoredMessage>();
  #staged: StoredMessage[] = [];
  /** Of the staged ones those for which there is no room in memory. */
  #spilled: StoredMessage[] = [];
  #held = 0;
  #heldBytes = 0;

  constructor(options: TopicOptions) {
    this.name = options.name;
    this.ephemeral = isEphemeral(options.name);
    this.#options = options;
  }

  get channels(): Iterable<Channel> {
    return this.#channels.values();
  }

  /** Messages that a durable channel, or nobody yet, has to finish. */
  get held(): number {
    return this.#held;
  }

  get backlog(): number {
    return this.#backlog.length;
  }

  /** When the oldest came that waits for a first channel: ms since 1970. */
  get oldestAt(): number | undefined {
    return this.#backlog.peek()?.takenAt;
  }

  get journalBytes(): number {
    return this.#options.journal?.bytes ?? 0;
  }

  /** Takes messages in; they are published by `commit`. */
  stage(messages: readonly StoredMessage[]): Refusal | undefined {
    if (this.#durable()) {
      const bytes = messages.reduce((sum, message) => sum + message.bytes, 0);
      if (!this.#hasRoom(messages.length, bytes)) {
        this.counters.refused += messages.length;
        return refuse("E_FULL", `topic ${this.name} holds ${this.#held} messages`);
      }
      for (const message of messages) {
        this.#options.journal?.append(message);
        // Held from now on, so that the next one staged in the same turn finds it counted.
        this.#hold(message);
      }
    }
    this.#staged.push(...messages);
    return undefined;
  }

  /** Publishes what was staged, or refuses all of it. */
  commit(): Refusal | undefined {
    const staged = this.#staged;
    this.#staged = [];
    const refusal = this.#options.journal?.commit();
    if (refusal !== undefined) {
      for (const message of this.#spilled) message.frame = undefined;
      this.#spilled = [];
      for (const message of staged) if (message.holders > 0) this.#release(message);
      this.counters.refused += staged.length;
      return refusal;
    }
    this.counters.published += staged.length;
    for (const message of staged) this.#spread(message);
    // Memory is full: from here on only the journal has them.
    for (const message of this.#spilled) message.frame = undefined;
    this.#spilled = [];
    if (this.ephemeral && this.#channels.size === 0) {
      this.#options.onUnheard(staged.length);
      this.#options.onEmpty();
    }
    return undefined;
  }

  /** Resolves once what was committed is on the disk itself; at once when there is no journal. */
  async sync(): Promise<Refusal | undefined> {
    return this.#options.journal?.sync();
  }

  /** False when there is no such channel. */
  pause(name: string, paused: boolean): boolean {
    const channel = this.#channels.get(name);
    if (channel === undefined) return false;
    channel.pause(paused);
    if (!channel.ephemeral) {
      this.#options.journal?.pauseChannel(name, paused);
      this.#options.journal?.commit();
    }
    return true;
  }

  /** The channel of that name, made when it is new. */
  open(name: string): Channel | Refusal {
    const existing = this.#channels.get(name);
    if (existing !== undefined) return existing;
    if (this.#channels.size >= this.#options.limits.channelsPerTopicMax) {
      return refuse("E_FULL", `topic ${this.name} has ${this.#channels.size} channels`);
    }
    const channel = this.restoreChannel(name);
    if (!channel.ephemeral) {
      const { journal } = this.#options;
      journal?.addChannel(name, this.#backlog.peek()?.seq ?? journal.nextSeq);
      journal?.commit();
    }
    // Moved in one go: its own members are served once it has joined them.
    for (let message = this.#backlog.shift(); message; message = this.#backlog.shift()) {
      channel.put(message, this.#waitMs(message));
      if (channel.ephemeral) this.#takenFromBacklog(message);
    }
    return channel;
  }

  /** A member leaves. An ephemeral channel goes with its last one, but waits for one that was cut off. */
  leave(channel: Channel, member: Member, how: "goodbye" | "cut_off"): void {
    channel.leave(member);
    if (!channel.ephemeral || channel.members > 0) return;
    if (how === "goodbye") this.remove(channel.name);
    else channel.linger(this.#options.limits.ephemeralLingerMs, () => this.remove(channel.name));
  }

  /** Forgets a channel with all it holds. */
  remove(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    this.#channels.delete(name);
    channel.clear();
    if (!channel.ephemeral) {
      this.#options.journal?.removeChannel(name);
      this.#options.journal?.commit();
    }
    if (this.ephemeral && this.#channels.size === 0) this.#options.onEmpty();
  }

  /** The channel, if it exists. */
  find(name: string): Channel | undefined {
    return this.#channels.get(name);
  }

  /** Drops what waits for a first channel, and all that the channels hold. */
  empty(): void {
    for (let message = this.#backlog.shift(); message; message = this.#backlog.shift()) {
      this.#takenFromBacklog(message);
    }
    for (const channel of this.#channels.values()) channel.clear();
  }

  /** Forgets everything, also on disk. */
  delete(): void {
    this.empty();
    this.#options.journal?.delete();
  }

  /** A channel as the journal knew it. */
  restoreChannel(name: string): Channel {
    const { clock, limits, budgets, journal } = this.#options;
    const ephemeral = isEphemeral(name) || this.ephemeral;
    const channel = new Channel({
      name,
      ephemeral,
      clock,
      limits,
      budget: budgets.memory,
      read: (message) => journal?.read(message.seq),
      onFinished: (message) => {
        if (ephemeral) return;
        if (message.seq > 0) journal?.finish(name, message.seq);
        this.#finished(message);
      },
    });
    this.#channels.set(name, channel);
    return channel;
  }

  /** A message as the journal knew it, for the channels that have not finished it; for none: the backlog. */
  restore(message: StoredMessage, channels: readonly string[]): void {
    this.#held++;
    this.#options.budgets.messages.take(1);
    message.holders = Math.max(1, channels.length);
    if (channels.length === 0) this.#backlog.push(message);
    for (const name of channels) this.#channels.get(name)?.put(message, this.#waitMs(message), 1);
  }

  stop(): void {
    for (const channel of this.#channels.values()) channel.stop();
    this.#options.journal?.close();
  }

  /** True when somebody durable has to get what is published now, be it a channel that is still to come. */
  #durable(): boolean {
    if (this.ephemeral) return false;
    if (this.#channels.size === 0) return true;
    for (const channel of this.#channels.values()) if (!channel.ephemeral) return true;
    return false;
  }

  #hold(message: StoredMessage): void {
    let durable = 0;
    for (const channel of this.#channels.values()) if (!channel.ephemeral) durable++;
    message.holders = Math.max(1, durable);
    this.#held++;
    const { memory, messages } = this.#options.budgets;
    messages.take(1);
    if (memory.has(message.bytes)) this.#keep(message);
    else this.#spilled.push(message);
  }

  /** Counts its body as held in memory. */
  #keep(message: StoredMessage): void {
    this.#heldBytes += message.bytes;
    this.#options.budgets.memory.take(message.bytes);
  }

  #release(message: StoredMessage): void {
    message.holders = 0;
    this.#held--;
    const { memory, messages } = this.#options.budgets;
    messages.give(1);
    if (message.frame === undefined) return;
    this.#heldBytes -= message.bytes;
    memory.give(message.bytes);
  }

  /** Without a journal memory is all there is; with one it is the disk. */
  #hasRoom(messages: number, bytes: number): boolean {
    const { limits, budgets, journal } = this.#options;
    if (this.#held + messages > limits.topicMessagesMax || !budgets.messages.has(messages)) return false;
    if (journal !== undefined) return !journal.full;
    return this.#heldBytes + bytes <= limits.topicBytesMax && budgets.memory.has(bytes);
  }

  #spread(message: StoredMessage): void {
    const waitMs = this.#waitMs(message);
    if (this.#channels.size === 0) {
      if (!this.ephemeral) this.#backlog.push(message);
      return;
    }
    for (const channel of this.#channels.values()) channel.put(message, waitMs);
  }

  #takenFromBacklog(message: StoredMessage): void {
    if (message.seq > 0) this.#options.journal?.finish("", message.seq);
    this.#finished(message);
  }

  #finished(message: StoredMessage): void {
    message.holders--;
    if (message.holders > 0) return;
    if (message.seq > 0) this.#options.journal?.forget(message.seq);
    this.#release(message);
  }

  #waitMs(message: StoredMessage): number {
    const { dueAt, takenAt } = message;
    // Never longer than at first, though the clock was set back meanwhile.
    return dueAt === 0 ? 0 : Math.min(dueAt - this.#options.clock.wall().getTime(), dueAt - takenAt);
  }
}
