/** What a request is answered that need not go further. */
import type { Routing } from "../wire/records.ts";
import type { App } from "./app.ts";
import type { MeshCode } from "./errors.ts";
import type { MeshLimits } from "./limits.ts";
import { type Page, toSecurePage } from "./pages.ts";
import type { Request } from "./request.ts";

export interface Refusal {
  readonly code: MeshCode;
  readonly cause: string;
  /** 0 stands for the code's own. */
  readonly status: number;
}

const maintenance: Refusal = { code: "H80", cause: "", status: 0 };
const unexpected: Refusal = { code: "H26", cause: "unsupported expect", status: 417 };
const blank: Refusal = { code: "H81", cause: "", status: 0 };
const empty: Refusal = { code: "H14", cause: "", status: 0 };
const full: Refusal = { code: "H11", cause: "", status: 0 };
const queueing: Refusal = { code: "H11", cause: "instances queue", status: 0 };

/** Null when the request may look for an instance; it is counted among the app's already. */
export function toRefusal(app: App, request: Request, limits: MeshLimits, now: number): Refusal | null {
  const record = app.record!;
  if (record.maintenance) return maintenance;
  if (request.isUnexpected) return unexpected;
  if (!record.hasRelease) return blank;
  if (record.formationWeb === 0) return empty;
  if (app.inflight > limits.inflightPerInstance * Math.max(1, app.routable.length))
    return refuse(app, full, now);
  if (app.brake === null || app.brake.inside.count <= app.brake.limit) return null;
  // Somebody has set a limit on purpose; or there is nobody yet, and to wait for a start is no queue.
  return app.gate !== null || app.routable.length === 0 ? null : refuse(app, queueing, now);
}

function refuse(app: App, refusal: Refusal, now: number): Refusal {
  app.brake?.refused(now);
  return refusal;
}

/** Where a request has to go that came without TLS; null when it may stay. */
export function toRedirect(routing: Routing, request: Request, securePort: number): Page | null {
  if (routing.httpsRedirect !== true || request.protocol === "https" || securePort === 0) return null;
  return toSecurePage(request.method, request.host, request.path, securePort);
}
