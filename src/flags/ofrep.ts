/**
 * OFREP 0.3.0: remote evaluation over HTTP, so that the OpenFeature clients of every language work as they are.
 *
 * - `POST …/evaluate/flags/KEY`: one flag. The key is the rest of the path: clients do not escape slashes.
 * - `POST …/evaluate/flags`: all of them, with the errors of single ones beside the others' values. Its ETag is that of
 *   the whole answer, so it covers the context too; If-None-Match is answered with 304, though it is a POST.
 * - `GET …/events`: server-sent events that say that flags have changed, with the version they have now. The key is in
 *   the URL, as browsers send no headers there.
 *
 * A disabled flag and one without a default have no `value`: the client takes the default of its code. Types are the
 * client's business. Any web page may ask that has a key (CORS).
 */
import { createHash } from "node:crypto";
import type { Context, Evaluator, Resolution } from "./evaluator.ts";

const base = "/ofrep/v1/";
export const contextBytesMax = 64 * 1024;
/** How long a client that has heard of a newer version may be kept waiting for it. */
const newerWaitMs = 1_000;

const cors = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "ETag, Retry-After",
} as const;
const preflight = {
  ...cors,
  "access-control-allow-methods": "GET, POST, OPTIONS",
  "access-control-allow-headers": "Content-Type, Authorization, X-API-Key, If-None-Match",
  "access-control-max-age": "600",
} as const;

/** Who asks. */
export interface Asker {
  readonly app: string;
}

export interface OfrepPorts {
  /** Undefined while this process knows no flags, not even old ones. */
  readonly evaluator: () => Evaluator | undefined;
  readonly version: () => number;
  /** From a header's or a URL's key to who it is; undefined when it is nobody's. */
  readonly authorize: (key: string, where: "header" | "url") => Asker | undefined;
  /** What goes into the URL of the events. */
  readonly eventsKey: (asker: Asker) => string;
  /** Resolves once the flags are at that version, or the time is over. */
  readonly reach: (version: number, timeoutMs: number) => Promise<void>;
  readonly asked: (asker: Asker, key: string, variant: string | undefined) => void;
  /** A stream of events; undefined when there are too many. */
  readonly events: (signal: AbortSignal) => ReadableStream<Uint8Array> | undefined;
}

/** `admit` says whether the app may ask now. */
export type Ofrep = (request: Request, admit: (app: string) => boolean) => Promise<Response>;

export function createOfrep(ports: OfrepPorts): Ofrep {
  return async (request, admit) => {
    const url = new URL(request.url);
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: preflight });
    const path = url.pathname.startsWith(base) ? url.pathname.slice(base.length) : "";
    if (path === "events") return answerEvents(ports, request, url);
    const asker = authorize(ports, request);
    if (asker === undefined)
      return toJson({ errorDetails: unauthorized }, 401, { "www-authenticate": "Bearer" });
    if (!admit(asker.app)) return toBusy("too many requests of this app", 1);
    const single = /^evaluate\/flags\/(.+)$/.exec(path)?.[1];
    const known = path === "evaluate/flags" || single !== undefined;
    if (!known) return toJson({ errorDetails: `there is no ${url.pathname.slice(0, 200)}` }, 404);
    if (request.method !== "POST")
      return toJson({ errorDetails: "only POST" }, 405, { allow: "POST, OPTIONS" });
    const key = single === undefined ? undefined : toKey(single);
    const read = await readContext(request);
    if (read.kind === "wrong") return toWrong(key, read.status, read.reason);
    const evaluator = ports.evaluator();
    if (evaluator === undefined)
      return toJson({ errorDetails: "no flags are known here yet" }, 503, { "retry-after": "1" });
    if (key === undefined) return await answerAll(ports, evaluator, asker, request, url, read.context);
    const resolution = evaluator.evaluate(key, read.context);
    ports.asked(asker, key, resolution.variant);
    return answerOne(key, resolution);
  };
}

const unauthorized = "send the key as Authorization: Bearer KEY, or X-API-Key: KEY";

function authorize(ports: OfrepPorts, request: Request): Asker | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  const key = bearer ?? request.headers.get("x-api-key") ?? "";
  return key === "" ? undefined : ports.authorize(key, "header");
}

function answerOne(key: string, resolution: Resolution): Response {
  const status =
    resolution.errorCode === undefined ? 200 : resolution.errorCode === "FLAG_NOT_FOUND" ? 404 : 400;
  return toJson(toEvaluation(key, resolution), status);
}

async function answerAll(
  ports: OfrepPorts,
  evaluator: Evaluator,
  asker: Asker,
  request: Request,
  url: URL,
  context: Context,
): Promise<Response> {
  const wanted = Number(url.searchParams.get("flagConfigEtag"));
  if (Number.isSafeInteger(wanted) && wanted > ports.version()) await ports.reach(wanted, newerWaitMs);
  // Not counted as asked for: whoever takes all of them says nothing of each.
  const flags = evaluator.keys.map((key) => toEvaluation(key, evaluator.evaluate(key, context)));
  const requestUri = `${base}events?key=${encodeURIComponent(ports.eventsKey(asker))}`;
  const text = JSON.stringify({
    flags,
    metadata: { version: ports.version() },
    eventStreams: [{ type: "sse", endpoint: { requestUri }, inactivityDelaySec: 120 }],
  });
  const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
  const headers = { ...cors, etag, "cache-control": "no-cache" };
  if (isKnown(request.headers.get("if-none-match"), etag))
    return new Response(null, { status: 304, headers });
  return new Response(text, { headers: { ...headers, "content-type": "application/json" } });
}

function answerEvents(ports: OfrepPorts, request: Request, url: URL): Response {
  const key = url.searchParams.get("key") ?? "";
  const asker = authorize(ports, request) ?? (key === "" ? undefined : ports.authorize(key, "url"));
  if (asker === undefined)
    return toJson({ errorDetails: "the key in the URL is not one of this platform" }, 401);
  if (request.method !== "GET") return toJson({ errorDetails: "only GET" }, 405, { allow: "GET, OPTIONS" });
  const events = ports.events(request.signal);
  if (events === undefined) return toBusy("too many streams of events", 5);
  return new Response(events, {
    headers: { ...cors, "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

function toEvaluation(
  key: string,
  { value, variant, reason, errorCode, errorMessage, metadata }: Resolution,
): object {
  const about = Object.keys(metadata).length === 0 ? {} : { metadata };
  if (errorCode !== undefined) return { key, errorCode, errorDetails: errorMessage, ...about };
  return { key, reason, ...(value === undefined ? {} : { value, variant }), ...about };
}

type Read =
  | { readonly kind: "context"; readonly context: Context }
  | { readonly kind: "wrong"; readonly status: number; readonly reason: string };

/** No body at all is an empty context, as flagd has it. */
async function readContext(request: Request): Promise<Read> {
  const wrong = (reason: string, status = 400): Read => ({ kind: "wrong", status, reason });
  const text = await readText(request, contextBytesMax);
  if (text === undefined) return wrong(`the body has more than ${contextBytesMax} bytes`, 413);
  if (text.trim() === "") return { kind: "context", context: {} };
  const body = toObject(text);
  if (body === undefined) return wrong("the body is not a JSON object");
  const context = (body as { context?: unknown }).context ?? {};
  if (typeof context !== "object" || Array.isArray(context)) return wrong("context: expected an object");
  const { targetingKey } = context as Context;
  if (targetingKey !== undefined && typeof targetingKey !== "string") {
    return wrong("context.targetingKey: expected a string");
  }
  return { kind: "context", context: context as Context };
}

/** Undefined when it is larger than that; the rest is not read then. */
async function readText(request: Request, bytesMax: number): Promise<string | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function toObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function toKey(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** If-None-Match: `*`, a list, weak or strong. */
function isKnown(header: string | null, etag: string): boolean {
  if (header === null) return false;
  return header
    .split(",")
    .map((one) => one.trim().replace(/^W\//, ""))
    .some((one) => one === "*" || one === etag || `"${one}"` === etag);
}

function toWrong(key: string | undefined, status: number, reason: string): Response {
  return toJson(
    { ...(key === undefined ? {} : { key }), errorCode: "INVALID_CONTEXT", errorDetails: reason },
    status,
  );
}

function toJson(body: object, status: number, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { ...cors, ...headers } });
}

function toBusy(reason: string, retryAfterSeconds: number): Response {
  return toJson({ errorDetails: reason }, 429, { "retry-after": String(retryAfterSeconds) });
}
