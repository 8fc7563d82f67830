import { NinesError, toError } from "../std/errors.ts";
import type { Handler, Message, SubscribeOptions } from "./topics.ts";

/** Messages that one channel of local mode keeps; then publishing is refused. */
const waitingMax = 10_000;
const nackMsBase = 500;
const nackMsCap = 60_000;
const attemptsMaxDefault = 10;
const creditDefault = 128;

interface Letter {
  readonly message: Message;
  attempts: number;
}

interface Member {
  readonly handler: Handler;
  readonly credit: number;
  readonly attemptsMax: number;
  readonly onError: (error: unknown) => void;
  inflight: number;
}

interface Channel {
  readonly waiting: Letter[];
  readonly members: Member[];
}

/** One topic of local mode: channels with a copy each, members that share it, attempts and dead letters. */
export class LocalTopic {
  readonly #bury: (message: Message, reason: string) => void;
  readonly #channels = new Map<string, Channel>();
  readonly #backlog: Message[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(bury: (message: Message, reason: string) => void) {
    this.#bury = bury;
  }

  publish(message: Message): void {
    const depths = [
      this.#backlog.length,
      ...[...this.#channels.values()].map(({ waiting }) => waiting.length),
    ];
    if (Math.max(...depths) >= waitingMax)
      throw new NinesError("overloaded", `${waitingMax} messages wait already`);
    if (this.#channels.size === 0) this.#backlog.push(message);
    for (const channel of this.#channels.values()) {
      channel.waiting.push({ message, attempts: 0 });
      this.#pump(channel);
    }
  }

  join(
    name: string,
    handler: Handler,
    options: SubscribeOptions,
    onError: (error: unknown) => void,
  ): { leave(): void } {
    const waiting = this.#backlog.splice(0).map((message) => ({ message, attempts: 0 }));
    const channel = this.#channels.get(name) ?? { waiting, members: [] };
    this.#channels.set(name, channel);
    const { credit = creditDefault, attemptsMax = attemptsMaxDefault } = options;
    const member: Member = { handler, credit, attemptsMax, onError, inflight: 0 };
    channel.members.push(member);
    this.#pump(channel);
    return {
      leave: () => {
        channel.members.splice(channel.members.indexOf(member), 1);
        if (name.startsWith("broadcast ")) this.#channels.delete(name);
      },
    };
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#channels.clear();
  }

  #pump(channel: Channel): void {
    for (;;) {
      const member = channel.members.find(({ inflight, credit }) => inflight < credit);
      const letter = member === undefined ? undefined : channel.waiting.shift();
      if (member === undefined || letter === undefined) return;
      // The next one is another's turn.
      channel.members.push(...channel.members.splice(channel.members.indexOf(member), 1));
      member.inflight++;
      letter.attempts++;
      void this.#handle(channel, member, letter);
    }
  }

  async #handle(channel: Channel, member: Member, letter: Letter): Promise<void> {
    let nackMs: number | undefined;
    let reason = "nacked at its last attempt";
    try {
      // Not in the publisher's own turn, as on the platform.
      await Promise.resolve();
      await member.handler(letter.message, {
        id: letter.message._id ?? "",
        attempts: letter.attempts,
        nack: (delayMs = nackMsBase) => {
          nackMs = delayMs;
        },
        extend: () => {},
      });
    } catch (error) {
      member.onError(error);
      reason = toError(error).message;
      nackMs ??= Math.min(nackMsCap, nackMsBase * 2 ** (letter.attempts - 1));
    }
    member.inflight--;
    if (nackMs !== undefined) {
      if (letter.attempts >= member.attemptsMax) this.#bury(letter.message, reason);
      else this.#later(channel, letter, nackMs);
    }
    this.#pump(channel);
  }

  #later(channel: Channel, letter: Letter, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      channel.waiting.push(letter);
      this.#pump(channel);
    }, delayMs);
    this.#timers.add(timer);
  }
}
