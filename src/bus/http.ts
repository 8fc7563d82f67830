import { createServer, type IncomingMessage, type Server } from "node:http";
import { NinesError } from "../std/errors.ts";
import type { Access, Authorize } from "./access.ts";
import type { BrokerStats, ChannelStats, TopicStats } from "./broker.ts";
import type { BrokerLimits } from "./limits.ts";
import { isName, type Refusal } from "./protocol.ts";

/** What the HTTP side needs of its broker. */
export interface HttpHost {
  readonly limits: BrokerLimits;
  readonly authorize: Authorize | undefined;
  stats(): BrokerStats;
  publish(topic: string, bodies: readonly Buffer[], delayMs: number): Refusal | undefined;
  /** Makes the topic, and the channel if one is named. */
  create(topic: string, channel: string | undefined): Refusal | undefined;
  /** Deletes or empties the channel, or the topic when none is named; false when it does not exist. */
  remove(topic: string, channel: string | undefined): boolean;
  empty(topic: string, channel: string | undefined): boolean;
  /** Stops or resumes deliveries of a channel; false when it does not exist. */
  pause(topic: string, channel: string, paused: boolean): boolean;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
}

/**
 * nsqd's HTTP side: `/ping`, `/stats`, `/pub`, `/mpub`, `/topic/{create,delete,empty}` and the same for
 * `/channel`, with `pause` and `unpause`. A broker with a secret wants `Authorization: Bearer SECRET` for all but `/ping`.
 */
export function createHttpServer(host: HttpHost): Server {
  return createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    const send = ({ status, text, type = "text/plain" }: Answer) => {
      // A body that was not read to its end would be taken for the next request.
      if (!request.complete) response.setHeader("connection", "close");
      response.writeHead(status, { "content-type": `${type}; charset=utf-8` }).end(text);
    };
    answer(host, request).then(send, (error: unknown) => {
      const known = error instanceof NinesError ? error : new NinesError("internal", String(error));
      send({ status: known.status, text: `${known.message}\n` });
    });
  });
}

async function answer(host: HttpHost, request: IncomingMessage): Promise<Answer> {
  const url = new URL(request.url ?? "/", "http://broker");
  if (url.pathname === "/ping") return { status: 200, text: "OK" };
  const access = toAccess(host, request);
  if (url.pathname === "/stats") return toStats(toVisible(host.stats(), access), url.searchParams);
  const known =
    ["/pub", "/mpub"].includes(url.pathname) ||
    /^\/(topic|channel)\/(create|delete|empty)$/.test(url.pathname) ||
    /^\/channel\/(un)?pause$/.test(url.pathname);
  if (!known) throw new NinesError("not_found", "NOT_FOUND");
  if (request.method !== "POST") return { status: 405, text: "METHOD_NOT_ALLOWED\n" };
  const topic = url.searchParams.get("topic") ?? "";
  if (!isName(topic)) throw new NinesError("invalid", topic === "" ? "MISSING_ARG_TOPIC" : "INVALID_TOPIC");
  if (access !== undefined && !access.mayPublish(topic)) throw new NinesError("forbidden", "E_UNAUTHORIZED");
  const administers = url.pathname !== "/pub" && url.pathname !== "/mpub";
  if (administers && access !== undefined && !access.maySubscribe(topic, "")) {
    throw new NinesError("forbidden", "E_UNAUTHORIZED");
  }
  if (!administers) return publish(host, request, url, topic);
  return administer(host, url, topic);
}

function toAccess(host: HttpHost, request: IncomingMessage): Access | undefined {
  if (host.authorize === undefined) return undefined;
  const [, secret] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
  const access = secret === undefined ? undefined : host.authorize(Buffer.from(secret));
  if (access === undefined) throw new NinesError("unauthorized", "E_AUTH_FAILED");
  return access;
}

async function publish(host: HttpHost, request: IncomingMessage, url: URL, topic: string): Promise<Answer> {
  const { messageBytesMax, batchBytesMax, delayMsMax } = host.limits;
  const batch = url.pathname === "/mpub";
  const body = await readBody(request, batch ? batchBytesMax : messageBytesMax);
  const delayMs = Number(url.searchParams.get("defer") ?? 0);
  if (!(delayMs >= 0 && delayMs <= delayMsMax)) throw new NinesError("invalid", "INVALID_DEFER");
  const bodies = (batch ? toLines(body) : [body]).filter((one) => one.length > 0);
  if (bodies.length === 0) throw new NinesError("invalid", "MSG_EMPTY");
  if (bodies.some((one) => one.length > messageBytesMax)) throw new NinesError("too_large", "MSG_TOO_BIG");
  return toOk(host.publish(topic, bodies, delayMs));
}

function administer(host: HttpHost, url: URL, topic: string): Answer {
  const [, what, verb] = url.pathname.split("/");
  const channel = what === "channel" ? (url.searchParams.get("channel") ?? "") : undefined;
  if (channel !== undefined && !isName(channel)) {
    throw new NinesError("invalid", channel === "" ? "MISSING_ARG_CHANNEL" : "INVALID_CHANNEL");
  }
  if (verb === "create") return toOk(host.create(topic, channel));
  const done = administered(host, verb, topic, channel);
  if (!done)
    throw new NinesError("not_found", channel === undefined ? "TOPIC_NOT_FOUND" : "CHANNEL_NOT_FOUND");
  return { status: 200, text: "OK" };
}

function administered(
  host: HttpHost,
  verb: string | undefined,
  topic: string,
  channel: string | undefined,
): boolean {
  switch (verb) {
    case "delete":
      return host.remove(topic, channel);
    case "empty":
      return host.empty(topic, channel);
    default:
      return channel !== undefined && host.pause(topic, channel, verb === "pause");
  }
}

function toOk(refusal: Refusal | undefined): Answer {
  if (refusal === undefined) return { status: 200, text: "OK" };
  const code = refusal.code === "E_FULL" ? "overloaded" : "unavailable";
  throw new NinesError(code, `${refusal.code} ${refusal.reason}`, { blame: "platform" });
}

async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new NinesError("too_large", "MSG_TOO_BIG");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function toLines(body: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let at = 0;
  for (let end = body.indexOf(10); end >= 0; end = body.indexOf(10, at)) {
    lines.push(body.subarray(at, end));
    at = end + 1;
  }
  return [...lines, body.subarray(at)];
}

/** Of topics that it may not use nobody sees that they exist. */
function toVisible(stats: BrokerStats, access: Access | undefined): BrokerStats {
  if (access === undefined) return stats;
  return { ...stats, topics: stats.topics.filter((topic) => access.mayPublish(topic.name)) };
}

/** In nsqd's words, for what reads them; `topic` and `channel` narrow it. */
function toStats(stats: BrokerStats, query: URLSearchParams): Answer {
  const [topic, channel] = [query.get("topic"), query.get("channel")];
  const topics = stats.topics.filter((one) => topic === null || one.name === topic);
  const value = {
    version: "nines-1",
    health: "OK",
    start_time: Math.floor(Date.parse(stats.startedAt) / 1_000),
    held_bytes: stats.heldBytes,
    connections: stats.sessions.length,
    topics: topics.map((one) => toTopic(one, channel)),
  };
  return { status: 200, text: `${JSON.stringify(value)}\n`, type: "application/json" };
}

function toTopic(topic: TopicStats, channel: string | null) {
  return {
    topic_name: topic.name,
    depth: topic.backlog,
    oldest_ms: topic.oldestMs,
    backend_depth: 0,
    backend_bytes: topic.journalBytes,
    message_count: topic.published,
    refused_count: topic.refused,
    paused: false,
    channels: topic.channels.filter((one) => channel === null || one.name === channel).map(toChannel),
  };
}

function toChannel(channel: ChannelStats) {
  return {
    channel_name: channel.name,
    depth: channel.depth,
    oldest_ms: channel.oldestMs,
    backend_depth: 0,
    in_flight_count: channel.inflight,
    deferred_count: channel.deferred,
    message_count: channel.delivered,
    finish_count: channel.finished,
    requeue_count: channel.requeued,
    timeout_count: channel.timedOut,
    dropped_count: channel.dropped,
    client_count: channel.members,
    paused: channel.paused,
  };
}
