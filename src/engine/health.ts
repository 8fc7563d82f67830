/** Asks an instance's health path once: one plain HTTP/1.1 request on a connection of its own. */
import { connect } from "node:net";

export type Probe =
  | { readonly ok: true }
  /** "answered 503", "no answer within 1 s", "connection refused". */
  | { readonly ok: false; readonly reason: string };

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Apps that check the Host header know this one. */
  readonly app: string;
  /** Not counted is the time in which the process had no processor, up to `starvedMsMax`. */
  readonly timeoutMs: number;
  /** For how many milliseconds since its start the process that serves had none; undefined when nobody knows. */
  readonly waitedMs?: () => number | undefined;
}

/** Who waited for longer is taken for hung all the same. */
export const starvedMsMax = 4_000;

const statusLine = /^HTTP\/1\.[01] (\d{3})/;
/** As much of an answer as is read before its status line must have come. */
const answerBytesMax = 1_024;

/** Never rejects: whatever goes wrong is the answer. */
export function probe(target: ProbeTarget, signal?: AbortSignal): Promise<Probe> {
  return new Promise((resolve) => {
    const socket = connect({ host: target.host, port: target.port });
    let head = "";
    const end = (result: Probe) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.destroy();
      resolve(result);
    };
    const fail = (reason: string) => end({ ok: false, reason });
    const onAbort = () => fail("asked no longer");
    const startMs = target.waitedMs?.() ?? 0;
    let starvedMs = 0;
    const onLate = () => {
      const moreMs = Math.min((target.waitedMs?.() ?? 0) - startMs, starvedMsMax) - starvedMs;
      if (moreMs < 1) return fail(`no answer within ${target.timeoutMs} ms`);
      starvedMs += moreMs;
      timer = setTimeout(onLate, moreMs);
    };
    let timer = setTimeout(onLate, target.timeoutMs);
    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort);
    socket.on("connect", () => {
      socket.write(
        `GET ${target.path} HTTP/1.1\r\nHost: ${target.app}.localhost\r\nUser-Agent: nines-health\r\n` +
          "Accept: */*\r\nConnection: close\r\n\r\n",
      );
    });
    socket.on("data", (bytes: Buffer) => {
      head += bytes.toString("latin1", 0, answerBytesMax);
      if (head.length < 12) return;
      const status = Number(statusLine.exec(head)?.[1]);
      if (status >= 200 && status < 300) end({ ok: true });
      else fail(Number.isNaN(status) ? "did not answer HTTP" : `answered ${status}`);
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      fail(error.code === "ECONNREFUSED" ? "connection refused" : error.message),
    );
    socket.on("close", () => fail("closed the connection without an answer"));
  });
}
