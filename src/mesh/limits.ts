/** Every bound of a router, with its unit and its default. */
export interface MeshLimits {
  /** Request line, without its line end. */
  readonly requestLineBytes: number;
  /** One header line of a request, and one cookie or status line of a response. */
  readonly headerLineBytes: number;
  readonly headerCount: number;
  readonly methodBytes: number;
  /** A request's head as a whole: what a client can make a router hold before anything is known of it. */
  readonly requestHeadBytes: number;
  /** A response's head as a whole. */
  readonly responseHeadBytes: number;
  /** 1xx answers before the real one. */
  readonly interimCount: number;

  /** Clients connected at once (H22). */
  readonly connectionCount: number;
  /** Requests of one app at once, for each of its routable instances (H11). */
  readonly inflightPerInstance: number;
  /** Requests of one app that wait for an instance (H11). */
  readonly waitingPerApp: number;
  /** Bytes a client may send ahead of its turn before it is not read any more. */
  readonly pipelineBytes: number;
  /** Answer bytes held for a slow client, so that its instance is free; above, the instance is not read. */
  readonly responseBufferBytes: number;
  /** Request bytes held for a slow instance; above, the client is not read. */
  readonly requestBufferBytes: number;

  readonly connectTimeoutMs: number;
  /** From the request's last byte sent to the answer's first (H12). */
  readonly firstByteTimeoutMs: number;
  /** Without a byte in either direction, once there was one (H15, H28). */
  readonly idleTimeoutMs: number;
  /** A request may wait so long for an instance that is up and can be reached (H20, H19, H21). */
  readonly bootWaitMs: number;
  /** From a request's first byte to the end of its head. */
  readonly headTimeoutMs: number;
  /** A client's connection between two requests. */
  readonly clientIdleMs: number;
  /** How long a refused client may go on sending before it is cut. */
  readonly lingerMs: number;
  /** An instance's connection between two requests. */
  readonly poolIdleMs: number;
  /** Idle connections kept to one instance. */
  readonly poolCount: number;
  /** An idle connection older than this is not used for what cannot be repeated. */
  readonly freshMs: number;

  /** Tries to connect, one instance after another, without a pause. */
  readonly connectAttempts: number;
  /** An instance that failed gets nothing from this router for so long, while there are others. */
  readonly quarantineMs: number;
  /** First pause when no instance can be reached; doubles up to `retryCapMs`. */
  readonly retryBaseMs: number;
  readonly retryCapMs: number;
  /** A crashed place that will be tried again within this is worth waiting for. */
  readonly crashWaitMs: number;

  /** A client that is silent for so long of a drain is closed; who speaks is told so by the answer. */
  readonly drainIdleMs: number;
  /** Before a router stops listening: the time that handshakes may take which the kernel has begun for it. */
  readonly handshakeMs: number;
  /** Instances that vanished from the reports are still named as drained for so long. */
  readonly goneMs: number;
  /** Precision of all the timeouts above. */
  readonly tickMs: number;
}

export const defaultMeshLimits: MeshLimits = {
  requestLineBytes: 8_192,
  headerLineBytes: 8_192,
  headerCount: 1_000,
  methodBytes: 127,
  requestHeadBytes: 65_536,
  responseHeadBytes: 524_288,
  interimCount: 32,

  connectionCount: 50_000,
  inflightPerInstance: 200,
  waitingPerApp: 1_000,
  pipelineBytes: 65_536,
  responseBufferBytes: 1_048_576,
  requestBufferBytes: 262_144,

  connectTimeoutMs: 5_000,
  firstByteTimeoutMs: 30_000,
  idleTimeoutMs: 55_000,
  bootWaitMs: 75_000,
  headTimeoutMs: 30_000,
  clientIdleMs: 75_000,
  lingerMs: 2_000,
  poolIdleMs: 90_000,
  poolCount: 256,
  freshMs: 1_000,

  connectAttempts: 10,
  quarantineMs: 5_000,
  retryBaseMs: 100,
  retryCapMs: 5_000,
  crashWaitMs: 2_000,

  drainIdleMs: 10_000,
  handshakeMs: 200,
  goneMs: 60_000,
  tickMs: 100,
};
