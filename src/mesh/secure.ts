/**
 * TLS for clients: 1.2 and 1.3, HTTP/1.1 alone, a certificate by name. It runs on node:tls, because Bun's own
 * listener knows one certificate only; the rest of the mesh sees a Wire like any other.
 */
import tls from "node:tls";
import { unsteer } from "../os/reuseport.ts";
import { toError } from "../std/errors.ts";
import type { Certificates } from "./certificates.ts";
import { type Listener, type OnFault, type Transport, Wire } from "./socket.ts";

/** A handshake that takes longer is a client that does not want one. */
const handshakeTimeoutMs = 10_000;

/** Resolves when it listens; rejects with a system error when it cannot. */
export async function listenSecure(
  options: { host: string; port: number; reusePort: boolean },
  certificates: Certificates,
  onConnection: (wire: Wire) => void,
  onFault: OnFault,
): Promise<Listener> {
  const server = tls.createServer(
    {
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      allowHalfOpen: true,
      handshakeTimeout: handshakeTimeoutMs,
      SNICallback: (name, answer) => answer(null, certificates.find(name)),
    } as tls.TlsOptions,
    (socket) => {
      try {
        onConnection(toWire(socket, onFault));
      } catch (error) {
        onFault(toError(error));
        socket.destroy();
      }
    },
  );
  // A client that speaks no TLS, or refuses the certificate, is no fault of ours.
  server.on("tlsClientError", (_, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: options.host, port: options.port, reusePort: options.reusePort }, resolve);
  });
  server.on("error", onFault);
  const { port } = server.address() as { port: number };
  const fd = (server as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;
  if (options.reusePort && fd >= 0) unsteer(fd);
  return { port, fd, stop: () => void server.close() };
}

function toWire(socket: tls.TLSSocket, onFault: OnFault): Wire {
  const wire = new Wire(true);
  let wasReset = false;
  // What a handler throws is a bug of ours, and ends this connection alone.
  const guard = (act: () => void) => {
    try {
      act();
    } catch (error) {
      onFault(toError(error));
      wire.cut();
    }
  };
  socket.on("data", (chunk: Buffer) => guard(() => void (wire.closed || wire.ears.onData(chunk))));
  socket.on("drain", () => guard(() => wire.flush()));
  socket.on("end", () => guard(() => void (wire.closed || wire.ears.onEnd())));
  socket.on("error", () => {
    wasReset = true;
  });
  socket.on("close", () => guard(() => wire.lost(wasReset)));
  wire.attach(toTransport(socket));
  return wire;
}

function toTransport(socket: tls.TLSSocket): Transport {
  return {
    remoteAddress: socket.remoteAddress ?? "",
    remotePort: socket.remotePort ?? 0,
    localPort: socket.localPort ?? 0,
    setNoDelay: (on) => socket.setNoDelay(on),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    write(bytes, offset, length) {
      if (socket.destroyed || socket.writableEnded) return -1;
      if (socket.writableNeedDrain) return 0;
      // A stream keeps what it is given, and the caller writes the next head to the same bytes.
      socket.write(Buffer.from(bytes.subarray(offset, offset + length)));
      return length;
    },
    shutdown: () => socket.end(),
    end: () => socket.end(),
    terminate: () => socket.destroy(),
  };
}
