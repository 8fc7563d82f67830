/**
 * The control API over HTTP: who may ask (guard.ts), what can be asked (apps.ts, deploys.ts, instances.ts,
 * run.ts), and how it is answered (reply.ts). It decides nothing: a `Control` does. Below /v1/app/ it is for apps,
 * with their own credentials (app-route.ts).
 *
 * - Every reply has a Request-Id; every refusal is `{code, message, hint}` with the status of its code.
 * - Reads while the database is away come from the controller's copy, with Nines-Stale-Ms and `staleMs`; writes
 *   fail at once with 503.
 * - GETs have an ETag. A write with If-Match fails with 409 when what it was made for has changed.
 * - A write with Nines-Rollout-Id may be repeated: it happens once.
 * - /openapi.json describes all of it; it and /healthz need no token.
 */
import type { Server, WebSocketHandler } from "bun";
import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { headers, isForApps } from "../wire/api.ts";
import { addAlerts } from "./alerts.ts";
import { addAppBuffer } from "./app-buffer.ts";
import { addAppData } from "./app-data.ts";
import { addAppFlags } from "./app-flags.ts";
import { addAppLeases } from "./app-leases.ts";
import { admit } from "./app-route.ts";
import { addAppTopics } from "./app-topics.ts";
import { addAppValves } from "./app-valves.ts";
import { addApps } from "./apps.ts";
import { addAsserts } from "./asserts.ts";
import { addBuffer } from "./buffer.ts";
import type { Control, RequestKind } from "./control.ts";
import { addDeploys } from "./deploys.ts";
import { addFlags } from "./flags.ts";
import { checkApp, checkSite, checkToken, type GuardOptions } from "./guard.ts";
import { addInstances } from "./instances.ts";
import { addMetrics } from "./metrics.ts";
import { Rates } from "./rates.ts";
import { toFailure } from "./reply.ts";
import { checkRole } from "./role.ts";
import { adminName, createRouter } from "./route.ts";
import { attachRun, type RunData, runSockets } from "./run.ts";
import { addShares } from "./shares.ts";
import { addTokens } from "./tokens.ts";
import { addValves } from "./valves.ts";

export type { AlertsControl, AssertsControl } from "./alert-ports.ts";
export type { AppChange, AppControl, AppEntry, AppLease } from "./app-control.ts";
export type {
  Attachment,
  BufferControl,
  Caller,
  Control,
  FlagControl,
  LogQuery,
  MaintenanceReply,
  MetricsControl,
  RequestKind,
  RunSocket,
  TokenControl,
  UploadBody,
  ValveControl,
} from "./control.ts";
export type { RunData } from "./run.ts";

export interface ApiOptions extends GuardOptions {
  readonly version: string;
  readonly log: Log;
  readonly clock: Clock;
}

export interface ControlApi {
  /** For Bun.serve; undefined when the connection became a WebSocket. */
  fetch(request: Request, server: Server<RunData>): Promise<Response | undefined>;
  readonly websocket: WebSocketHandler<RunData>;
}

const jsonBytesMax = 256 * 1024;
/** A message of 1 MiB, as JSON may write it. */
const appBytesMax = 2 * 1024 * 1024;
/** Of one app, whatever it asks, at one controller. */
const appRate = { perSecond: 2_000, burst: 4_000 };
/** Replies that take their time; the server must not close them as idle. */
const slow = /\/(rollout\/events|logs|deploys|output|watch)$/;

/** Flags for OpenFeature clients: from any web page, by keys of their own, and with their own form of errors. */
function isOfrep(request: Request): boolean {
  return URL.canParse(request.url) && new URL(request.url).pathname.startsWith("/ofrep/");
}

/** Whoever has closed a valve must be able to open it again. */
function toKind(method: string, pathname: string): RequestKind {
  if (pathname.startsWith("/v1/valves")) return "valve";
  if (method === "GET" || method === "HEAD") return "read";
  return pathname.endsWith("/deploys") ? "deploy" : "write";
}

/** Makes the API of one controller. Starts nothing. */
export function createApi(control: Control, options: ApiOptions): ControlApi {
  const api = createRouter();
  const [limit, appLimit] = [toLimit(jsonBytesMax), toLimit(appBytesMax)];
  api.use("*", (c, next) => {
    if (isForApps(c.req.path)) return appLimit(c, next);
    return c.req.path.endsWith("/deploys") ? next() : limit(c, next);
  });
  api.get("/healthz", (c) => c.json({ ok: true }));
  addApps(api, control);
  addDeploys(api, control);
  addInstances(api, control);
  addBuffer(api, control);
  addAsserts(api, control);
  addAlerts(api, control);
  addShares(api, control);
  addAppTopics(api, control.forApps);
  addAppBuffer(api, control.forApps);
  addAppData(api, control.forApps, options.clock);
  addAppValves(api, control.forApps);
  addAppLeases(api, control.forApps, options.clock);
  addAppFlags(api, control.flags);
  addFlags(api, control);
  addValves(api, control);
  addMetrics(api, control);
  addTokens(api, control);
  api.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  api.openAPIRegistry.registerComponent("securitySchemes", "app", { type: "http", scheme: "bearer" });
  api.doc31("/openapi.json", { openapi: "3.1.0", info: { title: "Nines", version: options.version } });
  api.notFound((c) => {
    throw new NinesError("not_found", `the API has no ${c.req.method} ${c.req.path}`, {
      hint: "/openapi.json lists what it has",
    });
  });

  // Thrown on through Hono, so that one place makes every failure.
  api.onError((error) => {
    throw error;
  });

  const appRates = new Rates(options.clock, appRate);
  const answer = async (request: Request, server: Server<RunData>): Promise<Response | undefined> => {
    if (isOfrep(request)) {
      if (request.method === "GET") server.timeout(request, 0);
      return control.flags.ofrep(request, (app) => appRates.take(app));
    }
    // First: without a good Host there is no URL to look at.
    checkSite(request, options);
    const { pathname } = new URL(request.url);
    if (isForApps(pathname)) {
      const app = checkApp(request, options);
      admit(appRates, app, "asks");
      if (slow.test(pathname)) server.timeout(request, 0);
      return api.fetch(request, { app });
    }
    const isOpen = pathname === "/healthz" || pathname === "/openapi.json";
    const principal = isOpen ? undefined : checkToken(request, options);
    if (principal !== undefined) checkRole(principal, request.method, pathname);
    const by = principal?.name ?? adminName;
    control.admit(toKind(request.method, pathname));
    if (slow.test(pathname)) server.timeout(request, 0);
    const run = /^\/v1\/apps\/([^/]+)\/run$/.exec(pathname)?.[1];
    if (run !== undefined && request.method === "GET") {
      return attachRun(request, decodeURIComponent(run), control, server, by);
    }
    return api.fetch(request, { by });
  };

  return {
    async fetch(request, server) {
      const requestId = crypto.randomUUID();
      try {
        const response = await answer(request, server);
        response?.headers.set(headers.requestId, requestId);
        response?.headers.set(headers.controller, control.id);
        return response;
      } catch (error) {
        const failure = toFailure(error, requestId, options.log);
        failure.headers.set(headers.controller, control.id);
        return failure;
      }
    },
    websocket: runSockets,
  };
}

function toLimit(maxSize: number): MiddlewareHandler {
  return bodyLimit({
    maxSize,
    onError: () => {
      throw new NinesError("too_large", `the body has more than ${maxSize} bytes`);
    },
  });
}
