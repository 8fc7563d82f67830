/**
 * Valves over the control API.
 *
 *   GET    /v1/valves              {valves: ValveReply[]}
 *   PUT    /v1/valves/NAME         ValveChange → ValveChangeReply; `waitMs` waits until it is in force
 *   DELETE /v1/valves/NAME         back to the default → ValveChangeReply
 */
import type { ValveRecord, ValveSettings } from "./valve.ts";

export interface ValveReply {
  readonly name: string;
  /** Of a valve of the platform; empty for an app's. */
  readonly summary: string;
  /** In force; empty while no process that lives has the valve. */
  readonly settings: Partial<ValveSettings>;
  /** What an operator has turned; null at the default. */
  readonly turned: ValveRecord | null;
  readonly processes: number;
  readonly inflight: number;
  readonly queued: number;
  /** Since the processes started, over all of them. */
  readonly permitted: number;
  readonly rejected: number;
  readonly shadowed: number;
}

export interface ValveChange {
  /** What is given replaces what was turned before; the rest of that stays. */
  readonly settings: Partial<ValveSettings>;
  /** Settings that go back to the default. */
  readonly unset?: readonly (keyof ValveSettings)[];
  readonly why: string;
  /** After so long it is at its default again; never without it. */
  readonly forMs?: number;
  /** Waits so long for all processes to say that it is in force. */
  readonly waitMs?: number;
}

export interface ValveChangeReply {
  readonly name: string;
  readonly turned: ValveRecord | null;
  readonly revision: number;
  readonly applied: readonly { readonly process: string; readonly afterMs: number }[];
  /** Processes that have the valve, and did not say so in time. */
  readonly waiting: readonly string[];
  /** No process reports the valve now; which there are. Null when one does. */
  readonly warning: string | null;
}
