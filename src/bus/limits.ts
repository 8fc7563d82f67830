/** Every bound and every wait of the bus, with its unit. */

export const brokerLimits = {
  /** Connections at once; the next one is closed before it is read. */
  connectionsMax: 4_096,
  /** A command's line, without its body. */
  lineBytesMax: 512,
  /** One message's body. */
  messageBytesMax: 1_048_576,
  /** An MPUB's body: all its messages. */
  batchBytesMax: 5 * 1_048_576,
  /** Bodies of whoever has not shown the secret yet, and of IDENTIFY and AUTH always. */
  strangerBytesMax: 65_536,
  /** From the connection to the first allowed command. */
  greetingTimeoutMs: 5_000,
  topicsMax: 4_096,
  channelsPerTopicMax: 1_024,
  /** Messages that a durable channel, or nobody yet, has to finish; then E_FULL. */
  topicMessagesMax: 100_000,
  /** Bodies of a topic without a journal; then E_FULL. */
  topicBytesMax: 64 * 1_048_576,
  /** What one ephemeral channel keeps for its members; then the oldest is dropped. */
  ephemeralMessagesMax: 10_000,
  ephemeralBytesMax: 16 * 1_048_576,
  /** How long an ephemeral channel waits for a subscriber that was cut off; one that said goodbye is not waited for. */
  ephemeralLingerMs: 2_000,
  /** Bodies that the whole broker keeps in memory; the next ones are in the journal alone, or, without one, E_FULL. */
  heldBytesMax: 64 * 1_048_576,
  /** Messages that the whole broker holds, in memory or on disk; then E_FULL. One costs some 400 bytes beside its body. */
  heldMessagesMax: 250_000,
  /** One file of a journal; then the next is begun. */
  segmentBytesMax: 8 * 1_048_576,
  /** A topic's journal; then E_FULL. */
  journalBytesMax: 256 * 1_048_576,
  /** All journals of the broker; then E_FULL. */
  journalsBytesMax: 1_024 * 1_048_576,
  /** How long the first of a group of messages waits for others before the disk is asked to keep them. */
  syncMs: 2,
  /** Segments of a topic before the last messages of the oldest are moved, and how many are "the last". */
  segmentsMax: 4,
  stragglersMax: 1_000,
  /** How long it may take until it is written that a message is finished; a crash before redelivers it. */
  finishedFlushMs: 100,
  /** Credit of one connection. */
  readyMax: 2_500,
  /** Bytes waiting for a slow reader; then it gets nothing more, and nothing more is read from it. */
  outboxBytesMax: 4 * 1_048_576,
  heartbeatMs: 1_000,
  heartbeatMsMin: 200,
  heartbeatMsMax: 60_000,
  /** A connection is dead after so many of its own heartbeats without a byte. */
  heartbeatsMissedMax: 3,
  /** How long a delivery stays with its subscriber before another one gets it. */
  visibilityTimeoutMs: 30_000,
  visibilityTimeoutMsMin: 100,
  visibilityTimeoutMsMax: 15 * 60_000,
  /** The longest delay of a nack or of a delayed publish. */
  delayMsMax: 60 * 60_000,
} as const;

export type BrokerLimits = { readonly [K in keyof typeof brokerLimits]: number };

export const clientLimits = {
  /** Whole message, encoded. */
  messageBytesMax: 1_048_576,
  keysMax: 256,
  keyBytesMax: 128,
  /** Sent to one broker and not answered; then publish waits. */
  inflightMessagesMax: 1_000,
  inflightBytesMax: 8 * 1_048_576,
  /** Publishes that wait for a broker; then `overloaded` at once. */
  waitingMessagesMax: 10_000,
  publishDeadlineMs: 5_000,
  /**
   * Without an answer for so long, another broker gets the message: the most, and, from a broker that has always
   * been quick, the least. A disk may take its time without warning.
   */
  patience: { os: { minMs: 100, maxMs: 250 }, disk: { minMs: 1_000, maxMs: 1_000 } },
  /** How often waiting publishes are looked at, while there are any. */
  sweepMs: 25,
  suspectMsBase: 100,
  suspectMsCap: 5_000,
  /** A broker that has just come is used last, until the subscribers have found it too. */
  settleMs: 500,
  connectTimeoutMs: 1_000,
  reconnectMsBase: 20,
  reconnectMsCap: 250,
  /** Between tries at a broker that refuses the secret. */
  refusedMsCap: 5_000,
  /** Between readings of the list of brokers; while one is missing, and at rest. */
  rosterMsMin: 100,
  rosterMs: 1_000,
  heartbeatMs: 1_000,
  /** Two heartbeats are missed, and the third is late: known within three seconds. */
  deadAfterMs: 2_750,
  /** Deliveries a subscription holds at once, over all brokers. */
  credit: 128,
  /** What brokers allow one connection, nsqd's default too. */
  creditPerBrokerMax: 2_500,
  attemptsMax: 10,
  /** A delivery that nobody settled so many times its attempts is a dead letter without another one. */
  abandonedTimes: 10,
  /** Before a delivery whose handler failed comes again. */
  nackMsBase: 500,
  nackMsCap: 60_000,
  visibilityTimeoutMs: 30_000,
  /** Ids remembered to drop duplicates. */
  seenIdsMax: 100_000,
  seenMs: 120_000,
  /** Things whose newest version is remembered by `newest`. */
  newestKeysMax: 100_000,
} as const;
