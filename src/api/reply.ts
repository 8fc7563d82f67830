/** How replies look, whatever the route: errors, ages, ETags. */
import type { Context } from "hono";
import { NinesError, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { type Aged, type ErrorReply, headers } from "../wire/api.ts";
import { toEtag } from "../wire/etag.ts";

/** Headers that tell the age of a reply, and its ETag. */
export function noteAge<T extends Aged>(c: Context, reply: T): T {
  if (reply.staleMs > 0) c.header(headers.staleMs, String(Math.round(reply.staleMs)));
  c.header("etag", toEtag(reply));
  return reply;
}

/** Whatever was thrown, as a reply. What nobody expected is told to the log alone. */
export function toFailure(thrown: unknown, requestId: string, log: Log): Response {
  const error = toNinesError(thrown);
  if (error.code === "internal") {
    const cause = toError(thrown);
    log.error("request_failed", { request_id: requestId, message: cause.message, stack: cause.stack });
  }
  const reply: ErrorReply = {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
  const extra: Record<string, string> = error.code === "unauthorized" ? { "www-authenticate": "Bearer" } : {};
  if (error.retryable) extra["retry-after"] = "1";
  return Response.json(reply, {
    status: error.status,
    headers: { ...extra, [headers.requestId]: requestId },
  });
}

function toNinesError(thrown: unknown): NinesError {
  if (thrown instanceof NinesError && thrown.code !== "internal") return thrown;
  // Hono's own refusals: a body that is not JSON, a body that is too large.
  const { status } = (thrown ?? {}) as { status?: unknown };
  if (status === 400) return new NinesError("invalid", "the body is not the JSON that was expected");
  return new NinesError("internal", "something went wrong inside Nines", {
    blame: "platform",
    cause: thrown,
    hint: "the controller's log has the details under this Request-Id",
  });
}
