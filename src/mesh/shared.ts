/** What all connections of one router share. */
import type { Clock } from "../std/clock.ts";
import type { Client } from "./client.ts";
import type { Counters } from "./counters.ts";
import type { MeshLimits } from "./limits.ts";
import type { AccessLog } from "./log.ts";
import type { Networks } from "./networks.ts";
import type { PageCache } from "./page-cache.ts";
import type { Pen } from "./pen.ts";
import type { Pool } from "./pool.ts";
import type { RequestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-head.ts";
import type { Measures } from "./series.ts";
import type { Table } from "./table.ts";
import type { Wheel } from "./timers.ts";
import type { Wall } from "./wall.ts";

export interface Shared {
  readonly limits: MeshLimits;
  readonly clock: Clock;
  readonly wall: Wall;
  readonly wheel: Wheel;
  readonly random: () => number;
  readonly createId: () => string;
  readonly table: Table;
  readonly pool: Pool;
  readonly pages: PageCache;
  readonly log: AccessLog;
  readonly counters: Counters;
  readonly measures: Measures;
  readonly clients: Set<Client>;
  /** Written over by each parse: whoever reads on after another turn of the event loop parses again. */
  readonly request: RequestHead;
  readonly response: ResponseHead;
  /** Heads are written with it, and go from its bytes to the kernel. */
  readonly pen: Pen;
  /** The port that clients use. */
  port: number;
  /** The same for TLS; 0 when there is none. */
  securePort: number;
  isDraining: boolean;
  /** Who speaks for others by the PROXY protocol, and whose X-Forwarded-Proto and -Port are believed. */
  readonly proxyProtocolFrom: Networks;
  readonly trustForwardedFrom: Networks;
}
