/** What a client says of itself in IDENTIFY, and what it is answered; pure. */
import type { BrokerLimits } from "./limits.ts";
import { type Refusal, refuse } from "./protocol.ts";

export interface Greeting {
  readonly clientId: string;
  /** 0: it wants no heartbeats. */
  readonly heartbeatMs: number;
  readonly visibilityTimeoutMs: number;
  readonly ackLevel: "os" | "disk";
  /** It wants to be told what the broker can. */
  readonly negotiates: boolean;
  /** It wants all that follows to go through TLS. */
  readonly tls: boolean;
}

/** Unknown wishes are ignored, as nsqd does. */
export function parseGreeting(body: Buffer, limits: BrokerLimits): Greeting | Refusal {
  const wishes = parseObject(body);
  if (wishes === undefined) return refuse("E_BAD_BODY", "IDENTIFY body is not a JSON object");
  const heartbeatMs = toNumber(wishes.heartbeat_interval, limits.heartbeatMs);
  const timeoutMs = toNumber(wishes.msg_timeout, limits.visibilityTimeoutMs) || limits.visibilityTimeoutMs;
  if (heartbeatMs >= 0 && (heartbeatMs < limits.heartbeatMsMin || heartbeatMs > limits.heartbeatMsMax)) {
    return refuse("E_BAD_BODY", `IDENTIFY heartbeat interval (${heartbeatMs}) is invalid`);
  }
  if (timeoutMs < limits.visibilityTimeoutMsMin || timeoutMs > limits.visibilityTimeoutMsMax) {
    return refuse("E_BAD_BODY", `IDENTIFY msg timeout (${timeoutMs}) is invalid`);
  }
  const negotiates = wishes.feature_negotiation === true;
  return {
    clientId: String(wishes.client_id ?? "").slice(0, 128),
    heartbeatMs: Math.max(0, heartbeatMs),
    visibilityTimeoutMs: timeoutMs,
    ackLevel: wishes.ack_level === "disk" ? "disk" : "os",
    negotiates,
    tls: negotiates && wishes.tls_v1 === true,
  };
}

/** The answer to a client that negotiates. */
export function toFeatures(
  greeting: Greeting,
  limits: BrokerLimits,
  broker: { readonly tls: boolean; readonly authRequired: boolean },
): string {
  return JSON.stringify({
    max_rdy_count: limits.readyMax,
    version: "nines-1",
    max_msg_timeout: limits.visibilityTimeoutMsMax,
    msg_timeout: greeting.visibilityTimeoutMs,
    tls_v1: greeting.tls && broker.tls,
    deflate: false,
    deflate_level: 0,
    max_deflate_level: 0,
    snappy: false,
    sample_rate: 0,
    auth_required: broker.authRequired,
    output_buffer_size: 0,
    output_buffer_timeout: 0,
    ack_level: greeting.ackLevel,
  });
}

function parseObject(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function toNumber(value: unknown, missing: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : missing;
}
