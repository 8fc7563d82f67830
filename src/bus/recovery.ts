/** What a journal still holds, from its records in order; pure. */
import { messageHeadBytes } from "./protocol.ts";
import type { JournalRecord, JournalState } from "./record.ts";

export interface Recovered {
  readonly seq: number;
  readonly id: string;
  readonly dueAt: number;
  readonly takenAt: number;
  /** Length of its frame. */
  readonly bytes: number;
  /** The segment that it was found in last, and where in it its record begins. */
  readonly segment: number;
  readonly at: number;
  /** Durable channels that have not finished it; none: it waits for a first channel. */
  readonly channels: readonly string[];
  readonly finishedBy: readonly string[];
}

/** Plays records back. What is finished by everybody is not in the result. */
export class Recovery {
  #nextSeq = 1;
  #keptFrom = 1;
  readonly #channels = new Map<
    string,
    { readonly fromSeq: number; paused: boolean; readonly finished: Set<number> }
  >();
  readonly #takenFromBacklog = new Set<number>();
  readonly #messages = new Map<
    number,
    { id: string; dueAt: number; takenAt: number; bytes: number; segment: number; at: number }
  >();

  play(record: JournalRecord, segment: number, at: number): void {
    switch (record.kind) {
      case "message":
        this.#messages.set(record.seq, {
          id: record.frame.toString("latin1", 18, messageHeadBytes),
          dueAt: record.dueAt,
          takenAt: Number(record.frame.readBigInt64BE(8) / 1_000_000n),
          bytes: record.frame.length,
          segment,
          at,
        });
        this.#nextSeq = Math.max(this.#nextSeq, record.seq + 1);
        return;
      case "channel":
        this.#addChannel(record.name, record.fromSeq);
        return;
      case "channel_gone":
        this.#channels.delete(record.name);
        if (this.#channels.size === 0) this.#keptFrom = this.#nextSeq;
        return;
      case "finished":
        for (const seq of record.seqs) {
          if (record.channel === "") this.#takenFromBacklog.add(seq);
          else this.#channels.get(record.channel)?.finished.add(seq);
        }
        return;
      case "paused": {
        const channel = this.#channels.get(record.name);
        if (channel !== undefined) channel.paused = record.paused;
        return;
      }
      case "state":
        this.#adopt(record);
    }
  }

  get state(): JournalState {
    return {
      nextSeq: this.#nextSeq,
      keptFrom: this.#keptFrom,
      channels: [...this.#channels].map(([name, { fromSeq, paused }]) => ({ name, fromSeq, paused })),
    };
  }

  /** Oldest first. */
  *[Symbol.iterator](): Iterator<Recovered> {
    for (const seq of [...this.#messages.keys()].sort((a, b) => a - b)) {
      const message = this.#messages.get(seq);
      if (message === undefined) continue;
      const concerned = [...this.#channels].filter(([, channel]) => seq >= channel.fromSeq);
      const channels = concerned.filter(([, { finished }]) => !finished.has(seq)).map(([name]) => name);
      const inBacklog =
        this.#channels.size === 0 && seq >= this.#keptFrom && !this.#takenFromBacklog.has(seq);
      if (channels.length === 0 && !inBacklog) continue;
      const finishedBy = concerned.filter(([, { finished }]) => finished.has(seq)).map(([name]) => name);
      yield { seq, ...message, channels, finishedBy };
    }
  }

  /** Sets right what a damaged segment before this one may have left out. */
  #adopt(state: JournalState): void {
    this.#nextSeq = Math.max(this.#nextSeq, state.nextSeq);
    this.#keptFrom = Math.max(this.#keptFrom, state.keptFrom);
    for (const { name, fromSeq, paused = false } of state.channels) {
      this.#addChannel(name, fromSeq);
      const channel = this.#channels.get(name);
      if (channel !== undefined) channel.paused = paused;
    }
    for (const name of this.#channels.keys()) {
      if (!state.channels.some((channel) => channel.name === name)) this.#channels.delete(name);
    }
  }

  #addChannel(name: string, fromSeq: number): void {
    if (!this.#channels.has(name)) this.#channels.set(name, { fromSeq, paused: false, finished: new Set() });
  }
}
