/** Clients that read a long answer slowly, on connections of their own: they must not hold an instance, nor be cut. */
import { connect } from "node:net";
import { work } from "./hand.ts";
import { wallMs } from "./records.ts";

interface Options {
  readonly journal: string;
  readonly port: number;
  readonly host: string;
  readonly clients: number;
}

const sipMs = 100;
const sipBytes = 32_768;
const pauseMs = 200;
const timeoutMs = 30_000;

await work<Options>(async ({ options, journal, signal, ready }) => {
  ready();
  const client = async (name: string) => {
    for (let n = 1; !signal.aborted; n++) {
      journal.add(await sip(options, `${name}-${n}`));
      await Bun.sleep(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: options.clients }, (_, at) => client(`slow-${at + 1}`)));
});

/** One request, its answer read a little at a time. */
function sip({ port, host }: Options, id: string) {
  const startedAt = wallMs();
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", highWaterMark: sipBytes } as never);
    let bytes = 0;
    let status = 0;
    let tail = "";
    let localPort = 0;
    const late = setTimeout(() => end("timeout"), timeoutMs);
    const end = (failure: string) => {
      clearTimeout(late);
      socket.destroy();
      resolve({ id, startedAt, endedAt: wallMs(), bytes, port: localPort, failure });
    };
    socket.on("connect", () => {
      localPort = socket.localPort ?? 0;
      socket.write(`GET /long HTTP/1.1\r\nHost: ${host}\r\nX-Id: ${id}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (chunk: Buffer) => {
      if (bytes === 0) status = Number(/^HTTP\/1\.1 (\d+)/.exec(chunk.toString("latin1", 0, 20))?.[1]);
      bytes += chunk.length;
      tail = (tail + chunk.toString("latin1")).slice(-300);
      socket.pause();
      setTimeout(() => socket.resume(), sipMs);
    });
    socket.on("error", ({ message }) => end(message));
    socket.on("close", () => {
      if (status !== 200) end(status === 0 ? "cut" : `status ${status}`);
      else end(tail.includes(`id=${id} `) ? "" : "cut");
    });
  });
}
