/** What an exchange keeps of a request: facts, taken once from its head. */
import type { Pen } from "./pen.ts";
import type { RequestHead } from "./request-head.ts";
import type { Shared } from "./shared.ts";

const idCharacters = /^[A-Za-z0-9+/=-]{20,200}$/;

/** Whose connection a request came on. */
export interface Sender {
  readonly address: string;
  readonly isSecure: boolean;
  /** What it says of the client's own connection is believed. */
  readonly isTrusted: boolean;
  /** The Host header of its last request; the next one mostly has the same. */
  readonly lastHost: string;
}

export class Request {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly minor: number;
  readonly protocol: "http" | "https";
  /** What a trusted proxy says of the client's own connection to it; empty when nothing. */
  readonly saidProtocol: string;
  readonly saidPort: string;
  /** The client's own id when it can be trusted in a log, else one made here. */
  readonly id: string;
  /** The whole X-Forwarded-For list, this client last. */
  readonly fwd: string;
  /** Whose request it is: the sender, or who a trusted one speaks for. */
  readonly clientAddress: string;
  readonly isUpgrade: boolean;
  /** A repetition can do no harm. */
  readonly isRepeatable: boolean;
  readonly isUnexpected: boolean;
  readonly wantsContinue: boolean;
  /** The client's connection ends with the answer. */
  readonly wantsClose: boolean;
  readonly headFrom: number;
  readonly headTo: number;

  constructor(head: RequestHead, { address, isSecure, isTrusted, lastHost }: Sender, createId: () => string) {
    const { bytes } = head;
    this.method = toMethod(head);
    this.path = bytes.toString("latin1", head.targetFrom, head.targetTo);
    this.host = toHost(head, lastHost);
    this.minor = head.minor;
    this.protocol = isSecure ? "https" : "http";
    this.saidProtocol = isTrusted ? toWord(head, head.protoFrom, head.protoTo, /^https?$/) : "";
    this.saidPort = isTrusted ? toWord(head, head.portFrom, head.portTo, /^\d{1,5}$/) : "";
    this.id = toRequestId(head) ?? createId();
    this.fwd = head.forwardedFor === "" ? address : `${head.forwardedFor}, ${address}`;
    const said = isTrusted ? head.forwardedFor.slice(head.forwardedFor.lastIndexOf(",") + 1).trim() : "";
    this.clientAddress = said === "" ? address : said;
    this.isUpgrade = head.isUpgrade;
    this.isRepeatable = isReading(this.method) && !head.isChunked && head.contentLength <= 0;
    this.isUnexpected = head.expectation === "unknown";
    this.wantsContinue = head.expectation === "continue" && head.minor === 1;
    this.wantsClose = head.isClose || (head.minor === 0 && !head.isKeepAlive);
    this.headFrom = head.from;
    this.headTo = head.end;
  }

  get isHead(): boolean {
    return this.method === "HEAD";
  }

  /** Writes the lines that a router adds for the instance, and the empty line. */
  writeLines(pen: Pen, head: RequestHead, { port, securePort }: Shared, startMs: number): void {
    pen.text("X-Request-Id: ");
    pen.text(this.id);
    pen.text("\r\nX-Forwarded-For: ");
    pen.text(this.fwd);
    pen.text("\r\nX-Forwarded-Proto: ");
    pen.text(this.saidProtocol || this.protocol);
    pen.text("\r\nX-Forwarded-Port: ");
    if (this.saidPort === "") pen.number(this.protocol === "http" ? port : securePort);
    else pen.text(this.saidPort);
    pen.text("\r\nX-Request-Start: ");
    pen.number(Math.floor(startMs));
    pen.text(this.minor === 1 ? "\r\nVia: 1.1 nines\r\n" : "\r\nVia: 1.0 nines\r\n");
    if (head.isChunked) pen.text("Transfer-Encoding: chunked\r\n");
    if (head.isLengthCut) pen.text(`Content-Length: ${head.contentLength}\r\n`);
    if (head.isUpgrade) pen.text("Connection: upgrade\r\n");
    pen.text("\r\n");
  }
}

/** The name of most requests' method need not be made anew. */
function toMethod({ bytes, from, methodTo }: RequestHead): string {
  if (methodTo - from === 3 && bytes[from] === 71 && bytes[from + 1] === 69 && bytes[from + 2] === 84)
    return "GET";
  return bytes.toString("latin1", from, methodTo);
}

function toHost({ bytes, hostFrom, hostTo }: RequestHead, last: string): string {
  let same = hostTo - hostFrom === last.length ? 0 : -1;
  while (same >= 0 && same < last.length)
    same = bytes[hostFrom + same] === last.charCodeAt(same) ? same + 1 : -1;
  return same < 0 ? bytes.toString("latin1", hostFrom, hostTo) : last;
}

function toWord({ bytes }: RequestHead, from: number, to: number, form: RegExp): string {
  const word = bytes.toString("latin1", from, to);
  return form.test(word) ? word : "";
}

function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

function toRequestId(head: RequestHead): string | undefined {
  if (head.idTo === head.idFrom) return undefined;
  const id = head.bytes.toString("latin1", head.idFrom, head.idTo);
  return idCharacters.test(id) ? id : undefined;
}
