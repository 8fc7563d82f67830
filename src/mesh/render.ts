/** Writes heads: the message's own lines less what was cut; the router's follow. */
import { copyRange } from "./kept.ts";
import type { Pen } from "./pen.ts";
import type { RequestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-head.ts";

/** Writes the request's head, less the empty line, from the start of the pen's bytes. */
export function writeRequest(pen: Pen, head: RequestHead): void {
  const target = pen.bytes;
  const { bytes, kept } = head;
  let at: number;
  if (head.pathFrom === head.targetFrom) {
    at = copyRange(bytes, target, 0, head.from, kept.from);
    // An instance always hears HTTP/1.1, which is what the router speaks.
    target[at - 3] = 49;
  } else {
    const method = bytes.toString("latin1", head.from, head.methodTo);
    const path = bytes.toString("latin1", head.pathFrom, head.targetTo);
    const origin = path.startsWith("/") ? path : path === "" && method === "OPTIONS" ? "*" : `/${path}`;
    at = target.write(`${method} ${origin} HTTP/1.1\r\n`, 0, "latin1");
  }
  pen.at = kept.copy(target, at);
}

/** Writes the answer's head, less the empty line, from the start of the pen's bytes. */
export function writeResponse(pen: Pen, head: ResponseHead): void {
  const target = pen.bytes;
  const { bytes, kept } = head;
  let at = copyRange(bytes, target, 0, head.from, head.lineTo);
  target[7] = 49;
  if (head.isBare) target[at++] = 32;
  target[at++] = 13;
  target[at++] = 10;
  pen.at = kept.copy(target, at);
}
