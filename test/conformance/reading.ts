/** What the router's readers make of a whole stream of bytes, without a router around them. */
import { Body } from "../../src/mesh/body.ts";
import { INCOMPLETE, toReason } from "../../src/mesh/fault.ts";
import { defaultMeshLimits } from "../../src/mesh/limits.ts";
import { RequestHead } from "../../src/mesh/request-head.ts";
import { ResponseHead } from "../../src/mesh/response-head.ts";

export interface Verdict {
  readonly messages: number;
  /** Why the stream was refused; empty when it was not. */
  readonly fault: string;
}

const requestHead = new RequestHead(defaultMeshLimits);
const responseHead = new ResponseHead(defaultMeshLimits);

export function readRequests(bytes: Buffer): Verdict {
  let messages = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = requestHead.parse(bytes, at, bytes.length);
    if (end === INCOMPLETE) break;
    if (end < 0) return { messages, fault: toReason(end) };
    const body = new Body();
    if (requestHead.isChunked) body.start("chunked", 0);
    else body.start("counted", Math.max(0, requestHead.contentLength));
    at = body.scan(bytes, end, bytes.length);
    if (at < 0) return { messages, fault: "malformed chunk" };
    if (!body.isDone) break;
    messages++;
    // What follows an upgrade or a last request is not HTTP, or nobody's.
    if (requestHead.isUpgrade || requestHead.isClose) break;
  }
  return { messages, fault: "" };
}

/** The one answer that a request gets; what follows it is no part of it. */
export function readResponse(bytes: Buffer): Verdict {
  for (let at = 0; at < bytes.length; ) {
    const end = responseHead.parse(bytes, at, bytes.length);
    if (end === INCOMPLETE) break;
    if (end < 0) return { messages: 0, fault: toReason(end) };
    if (responseHead.status < 200 && responseHead.status !== 101) {
      at = end;
      continue;
    }
    const body = new Body();
    const { status, isChunked, contentLength } = responseHead;
    if (status === 204 || status === 304 || status === 101) body.start("none", 0);
    else if (isChunked) body.start("chunked", 0);
    else if (contentLength >= 0) body.start("counted", contentLength);
    else body.start("until_close", 0);
    if (body.scan(bytes, end, bytes.length) < 0) return { messages: 0, fault: "malformed chunk" };
    return { messages: 1, fault: "" };
  }
  return { messages: 0, fault: "" };
}
