/** Topics: publish one, subscribe many. */

/** A flat map of strings. Keys that start with `_` are the platform's: `_id` and `_src` come with each message. */
export type Message = Readonly<Record<string, string>>;

export interface PublishOptions {
  /** The app whose topic it is, when it is another's. */
  readonly app?: string;
  /** How long it may wait for a broker. Defaults to 5 s. */
  readonly deadlineMs?: number;
  /** How many brokers must have it. Defaults to 1. */
  readonly redundancy?: number;
  /** Receivers drop it when it is older. */
  readonly expiresInMs?: number;
  /** The same for a repetition of the same message; receivers drop what comes twice. A new one by default. */
  readonly id?: string;
}

export interface SubscribeOptions {
  /** The app whose topic it is, when it is another's. */
  readonly app?: string;
  /** Messages in handlers at once. Defaults to 128. */
  readonly credit?: number;
  /** Handlings before it is a dead letter. Defaults to 10. */
  readonly attemptsMax?: number;
  /** After so long without an answer another member gets it. Defaults to 30 s. */
  readonly visibilityTimeoutMs?: number;
}

export interface Delivery {
  readonly id: string;
  readonly attempts: number;
  /** Asks for it again, after a delay. */
  nack(delayMs?: number): void;
  /** "Still working": the visibility timeout begins anew. */
  extend(): void;
}

/** Acks when it returns. */
export type Handler = (message: Message, delivery: Delivery) => void | Promise<void>;

export interface Subscription {
  /** Resolves once every broker serves it; with false when the time is over first. */
  whenJoined(timeoutMs: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface Topics {
  publish(topic: string, message: Message, options?: PublishOptions): Promise<{ readonly id: string }>;
  subscribe(topic: string, channel: string, handler: Handler, options?: SubscribeOptions): Subscription;
}
