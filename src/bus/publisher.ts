import { toDelayMs } from "../std/backoff.ts";
import { NinesError } from "../std/errors.ts";
import { Deque } from "./deque.ts";
import { clientLimits } from "./limits.ts";
import type { Line, LineContext, LineFrame } from "./line.ts";
import { Lines } from "./lines.ts";
import { Patience, type PatienceLimits } from "./patience.ts";
import type { BrokerAddress, Roster } from "./roster.ts";
import { type Trust, toPreference, toRank } from "./trust.ts";

/** What became of a publish. */
export interface Published {
  readonly id: string;
  /** Ids of the brokers that have it for sure. */
  readonly brokers: readonly string[];
}

/** A publish that is not decided yet. */
interface Open {
  readonly id: string;
  readonly topic: string;
  readonly body: Buffer;
  readonly deadlineAt: number;
  readonly redundancy: number;
  readonly ackedBy: string[];
  /** Brokers that have it, or were sent it on a connection that may still answer. */
  readonly sentTo: Set<string>;
  /** How many of those may be expected to answer in time. */
  hopes: number;
  /** Why it is not done yet; told at the deadline. */
  trouble: "away" | "full";
  readonly resolve: (published: Published) => void;
  readonly reject: (error: NinesError) => void;
}

interface Sent {
  readonly open: Open;
  readonly at: number;
  late: boolean;
}

/** One broker, as the publisher sees it. */
interface PublishPeer {
  readonly id: string;
  readonly rank: number;
  readonly line: Line;
  /** In the order sent, which is the order of the answers. */
  awaiting: Deque<Sent>;
  inflightBytes: number;
  trust: Trust;
  readonly patience: Patience;
  /** Suspicions in a row. */
  failures: number;
  acked: number;
}

/**
 * Publishes to any one broker that lives. All messages go to the same one while it answers, so that they keep
 * their order; one that is silent for longer than it ever is (patience.ts), full, or gone is passed over at once, and what it had not
 * acked goes to the next. A late ack counts. Duplicates that this makes have the same id.
 */
export class Publisher implements Disposable {
  readonly counters = { published: 0, failedOver: 0, rejected: 0 };
  readonly #context: LineContext;
  readonly #lines: Lines<PublishPeer>;
  /** Everything undecided, oldest first. */
  readonly #opens = new Set<Open>();
  /** Not sent to anybody yet; in order. */
  readonly #fresh = new Deque<Open>();
  /** Sent before, and to be sent once more. They do not hold up the fresh ones. */
  readonly #again = new Set<Open>();
  readonly #patience: PatienceLimits;
  #sweep: Disposable | undefined;
  #closed = false;

  constructor(roster: Roster, context: LineContext) {
    this.#context = context;
    this.#patience = clientLimits.patience[context.ackLevel];
    this.#lines = new Lines(
      (address) => this.#openPeer(address),
      (left, right) => right.rank - left.rank,
    );
    this.#lines.follow(roster);
  }

  /** Waiting for a broker, and waiting for a broker's answer. */
  get depths(): { readonly waiting: number; readonly inflight: number } {
    const waiting = this.#fresh.length + this.#again.size;
    return { waiting, inflight: Math.max(0, this.#opens.size - waiting) };
  }

  /** The brokers, the preferred one first. */
  get peers(): readonly PublishPeer[] {
    return this.#lines.peers;
  }

  publish(
    topic: string,
    id: string,
    body: Buffer,
    options: { readonly deadlineMs: number; readonly redundancy: number },
  ): Promise<Published> {
    if (this.#closed) return Promise.reject(new NinesError("unavailable", "the bus is closed"));
    if (this.#fresh.length >= clientLimits.waitingMessagesMax) {
      this.counters.rejected++;
      const message = `${this.#fresh.length} messages wait for a broker already`;
      return Promise.reject(new NinesError("overloaded", message, { blame: "platform" }));
    }
    return new Promise((resolve, reject) => {
      const open: Open = {
        id,
        topic,
        body,
        deadlineAt: this.#context.clock.now() + options.deadlineMs,
        redundancy: options.redundancy,
        ackedBy: [],
        sentTo: new Set(),
        hopes: 0,
        trouble: "away",
        resolve,
        reject,
      };
      this.#opens.add(open);
      this.#fresh.push(open);
      if (this.#fresh.length === 1) this.#pump();
      this.#scheduleSweep();
    });
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#sweep?.[Symbol.dispose]();
    this.#lines[Symbol.dispose]();
    for (const open of this.#opens) {
      open.reject(new NinesError("unavailable", "the bus was closed before a broker acked"));
    }
    this.#opens.clear();
  }

  #openPeer(address: BrokerAddress): PublishPeer {
    const events = {
      onUp: () => {
        peer.trust = { kind: "good" };
        this.#pump();
      },
      onFrame: (frame: LineFrame) => {
        if (frame.kind === "response") this.#onAck(peer);
        if (frame.kind === "error") this.#onRefusal(peer, frame.code, frame.reason);
        this.#pump();
      },
      onDown: () => this.#onDown(peer),
    };
    const peer: PublishPeer = {
      id: address.id,
      rank: toRank(this.#context.sender, address.id),
      line: this.#context.open(address, this.#context, events),
      awaiting: new Deque(),
      inflightBytes: 0,
      patience: new Patience(this.#patience),
      trust: { kind: "good" },
      failures: 0,
      acked: 0,
    };
    return peer;
  }

  /** Sends whatever may be sent now. */
  #pump(): void {
    if (this.#closed) return;
    for (const open of this.#again) if (this.#send(open)) this.#again.delete(open);
    for (let open = this.#fresh.peek(); open !== undefined; open = this.#fresh.peek()) {
      if (this.#opens.has(open) && !this.#send(open)) {
        if (open.sentTo.size === 0) return;
        this.#again.add(open);
      }
      this.#fresh.shift();
    }
  }

  /** Sends it to as many brokers as it still needs; false when there are not so many. */
  #send(open: Open): boolean {
    while (open.ackedBy.length + open.hopes < open.redundancy) {
      const now = this.#context.clock.now();
      const peer = this.#choose(open, now);
      if (peer === undefined) return false;
      if (
        peer.awaiting.length >= clientLimits.inflightMessagesMax ||
        peer.inflightBytes + open.body.length > clientLimits.inflightBytesMax
      ) {
        open.trouble = "full";
        return false;
      }
      if (peer.trust.kind === "suspect" || peer.trust.kind === "full") peer.trust = { kind: "probing" };
      open.sentTo.add(peer.id);
      open.hopes++;
      peer.awaiting.push({ open, at: now, late: false });
      peer.inflightBytes += open.body.length;
      peer.line.publish(open.topic, open.body);
    }
    return true;
  }

  #choose(open: Open, now: number): PublishPeer | undefined {
    let best: PublishPeer | undefined;
    let bestPreference = Number.POSITIVE_INFINITY;
    for (const peer of this.#lines.peers) {
      const { phase, heardAt } = peer.line;
      if (phase.kind !== "up" || open.sentTo.has(peer.id)) continue;
      const preference = toPreference({ trust: peer.trust, upSince: phase.since, heardAt }, now);
      if (preference === undefined || preference >= bestPreference) continue;
      best = peer;
      bestPreference = preference;
      if (preference === 0) break;
    }
    return best;
  }

  #onAck(peer: PublishPeer): void {
    const sent = this.#answered(peer);
    if (sent === undefined) return;
    peer.acked++;
    peer.patience.acked(this.#context.clock.now() - sent.at);
    // An ack in time mends its trust; a late one only shows, as any byte does, that it lives.
    if (!sent.late) {
      peer.failures = 0;
      peer.trust = { kind: "good" };
    }
    const { open } = sent;
    if (!this.#opens.has(open)) return;
    open.ackedBy.push(peer.id);
    if (open.ackedBy.length < open.redundancy) return;
    this.#opens.delete(open);
    this.#again.delete(open);
    this.counters.published++;
    open.resolve({ id: open.id, brokers: open.ackedBy });
  }

  #onRefusal(peer: PublishPeer, code: string, reason: string): void {
    const sent = this.#answered(peer);
    if (sent === undefined) return;
    const { open } = sent;
    const fault = toFault(code);
    if (fault !== undefined) return this.#reject(open, new NinesError(fault, `broker ${peer.id}: ${reason}`));
    if (code === "E_FULL") {
      open.trouble = "full";
      peer.trust = { kind: "full", until: this.#context.clock.now() + this.#delayMs(peer) };
    } else {
      this.#suspect(peer);
    }
    open.sentTo.delete(peer.id);
    this.#retry(open);
  }

  #onDown(peer: PublishPeer): void {
    const lost = peer.awaiting;
    peer.awaiting = new Deque();
    peer.inflightBytes = 0;
    for (const { open, late } of lost) {
      if (!late) open.hopes--;
      open.sentTo.delete(peer.id);
      this.#retry(open);
    }
    this.#lines.prune();
    this.#pump();
  }

  #answered(peer: PublishPeer): Sent | undefined {
    const sent = peer.awaiting.shift();
    if (sent === undefined) return undefined;
    peer.inflightBytes -= sent.open.body.length;
    if (!sent.late) sent.open.hopes--;
    return sent;
  }

  #retry(open: Open): void {
    if (!this.#opens.has(open) || this.#again.has(open)) return;
    this.counters.failedOver++;
    this.#again.add(open);
  }

  #reject(open: Open, error: NinesError): void {
    if (!this.#opens.delete(open)) return;
    this.#again.delete(open);
    this.counters.rejected++;
    open.reject(error);
  }

  #suspect(peer: PublishPeer): void {
    const now = this.#context.clock.now();
    peer.trust = { kind: "suspect", since: now, until: now + this.#delayMs(peer) };
  }

  #delayMs(peer: PublishPeer): number {
    const backoff = { baseMs: clientLimits.suspectMsBase, capMs: clientLimits.suspectMsCap, jitter: 1 };
    return toDelayMs(backoff, peer.failures++, this.#context.random());
  }

  /** Looks at what waits, again and again while anything does. */
  #scheduleSweep(): void {
    if (this.#sweep !== undefined || this.#closed || this.#opens.size === 0) return;
    const { clock } = this.#context;
    const expectedAt = clock.now() + clientLimits.sweepMs;
    this.#sweep = clock.after(clientLimits.sweepMs, () => {
      this.#sweep = undefined;
      const now = clock.now();
      // When this process was held up itself, the acks may be here and only not read yet.
      if (now - expectedAt < 2 * clientLimits.sweepMs) this.#findLate(now);
      this.#findOverdue(now);
      this.#pump();
      this.#scheduleSweep();
    });
  }

  #findLate(now: number): void {
    for (const peer of this.#lines.peers) {
      let silent = false;
      const { timeoutMs } = peer.patience;
      for (const sent of peer.awaiting) {
        if (now - sent.at < timeoutMs) break;
        if (sent.late) continue;
        silent = true;
      }
      if (!silent) continue;
      this.#suspect(peer);
      // It answers in order, so nothing behind the late one will come in time either.
      for (const sent of peer.awaiting) {
        if (sent.late) continue;
        sent.late = true;
        sent.open.hopes--;
        this.#retry(sent.open);
      }
    }
  }

  #findOverdue(now: number): void {
    for (const open of this.#opens) {
      if (open.deadlineAt > now) continue;
      const error =
        open.trouble === "full"
          ? new NinesError("overloaded", "no broker had room in time", { blame: "platform" })
          : new NinesError("unavailable", "no broker acked in time", { blame: "platform" });
      this.#reject(open, error);
    }
  }
}

/** Refusals that another broker would repeat. */
function toFault(code: string): "invalid" | "forbidden" | undefined {
  if (code === "E_UNAUTHORIZED") return "forbidden";
  return code === "E_BAD_TOPIC" || code === "E_BAD_MESSAGE" || code === "E_BAD_BODY" ? "invalid" : undefined;
}
