/** A message in a broker, shared by all channels of its topic. */
export interface StoredMessage {
  /** 16 bytes; unique in this broker, over its restarts too. */
  readonly id: string;
  /** As it goes out at a first delivery; undefined while only the journal has it. */
  frame: Buffer | undefined;
  /** Length of the frame, wherever it is. */
  readonly bytes: number;
  /** When the broker took it: ms since 1970. */
  readonly takenAt: number;
  /** Not before: ms since 1970; 0 is at once. */
  readonly dueAt: number;
  /** Number in its topic's journal; 0 when it is in none. */
  seq: number;
  /** Durable channels, or the backlog, that have not finished it. */
  holders: number;
}

/** So many bytes, and how many of them are taken. */
export class Budget {
  readonly bytesMax: number;
  #heldBytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  has(bytes: number): boolean {
    return this.#heldBytes + bytes <= this.bytesMax;
  }

  take(bytes: number): void {
    this.#heldBytes += bytes;
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

/** What the topics of one broker share: memory for bodies, room on disk, and a number of messages. */
export interface Budgets {
  readonly memory: Budget;
  readonly disk: Budget;
  /** Counts messages, not bytes: what each costs beside its body. */
  readonly messages: Budget;
}
