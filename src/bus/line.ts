/** A connection to one broker, whatever it speaks: what publishers and subscribers need of it. */
import type { Clock } from "../std/clock.ts";
import type { Log } from "../std/log.ts";
import type { Frame } from "./frames.ts";
import type { BrokerAddress } from "./roster.ts";
import type { ClientTls } from "./secure.ts";

/** Where a message is when a broker says that it has it: in its journal, or on the disk itself. */
export type AckLevel = "os" | "disk";

/** What every connection of one bus has in common. */
export interface LineContext {
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
  readonly secret: string | undefined;
  /** How this process calls itself. */
  readonly sender: string;
  readonly ackLevel: AckLevel;
  /** With it everything goes through TLS, or nowhere. */
  readonly tls: ClientTls | undefined;
  /** A broker is missing: the list of them may have changed. */
  readonly onMissing: () => void;
  /** Opens a line of the bus's driver. */
  readonly open: OpenLine;
}

export type OpenLine = (
  address: BrokerAddress,
  context: LineContext,
  events: LineEvents,
  visibilityTimeoutMs?: number,
) => Line;

export interface LineEvents {
  /** The broker knows us; it may be used. */
  onUp(): void;
  /** Answers to `publish` and `subscribe`, in their order; and deliveries. */
  onFrame(frame: LineFrame): void;
  onDown(reason: string): void;
}

export type LineFrame = Frame & { readonly kind: "response" | "error" | "message" };

export type LinePhase =
  | { readonly kind: "waiting"; readonly reason: string }
  | { readonly kind: "connecting" }
  | { readonly kind: "up"; readonly since: number }
  | { readonly kind: "closed" };

/**
 * Comes back for ever: connects, says who it is, notices silence, waits a little and connects again. Nothing
 * that the other end does makes it throw. While it is not up, what it is told is dropped.
 */
export interface Line {
  readonly address: BrokerAddress;
  readonly phase: LinePhase;
  /** Clock time of the last sign of life. */
  readonly heardAt: number;
  /** Answered by one frame. */
  publish(topic: string, body: Buffer): void;
  /** Once for each line; answered by one frame. */
  subscribe(topic: string, channel: string): void;
  /** How many deliveries may be unsettled at once. */
  credit(count: number): void;
  ack(id: string): void;
  nack(id: string, delayMs: number): void;
  extend(id: string): void;
  /** A goodbye: the broker need not wait for this subscriber to come back. */
  leave(): void;
  close(): void;
}
