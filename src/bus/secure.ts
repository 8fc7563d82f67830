/** TLS between clients and brokers: begun on a connection that both have used in the clear, as NSQ's `tls_v1` says. */
import type { Socket } from "node:net";
import { connect, createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { NinesError, toError } from "../std/errors.ts";

/** A broker's certificate and its key, as PEM. */
export interface BrokerTls {
  readonly cert: string;
  readonly key: string;
}

/** How a client knows that a broker is the one it means. */
export interface ClientTls {
  /** PEM of whoever signed the brokers' certificates; undefined: one that the system trusts. */
  readonly ca?: string | undefined;
  /** The name in their certificates; undefined: the host that is connected to. */
  readonly name?: string | undefined;
}

const minVersion = "TLSv1.2";

/** Throws `invalid` when certificate and key are none, or not of each other. */
export function toBrokerContext({ cert, key }: BrokerTls): SecureContext {
  try {
    return createSecureContext({ cert, key, minVersion });
  } catch (error) {
    throw new NinesError("invalid", `the brokers' certificate cannot be used: ${toError(error).message}`);
  }
}

/** The broker's end. What the socket was listened to for is the new one's from now on. */
export function secureSession(socket: Socket, secureContext: SecureContext): TLSSocket {
  takeOver(socket);
  return new TLSSocket(socket, { isServer: true, secureContext });
}

/** The client's end; usable at `secureConnect`, and an `error` instead when the broker is not the one it should be. */
export function secureLine(socket: Socket, host: string, tls: ClientTls): TLSSocket {
  takeOver(socket);
  const name = tls.name ?? host;
  return connect({
    socket,
    host: name,
    minVersion,
    // An address is no name to ask for; it is checked against the certificate all the same.
    ...(/^[\d.]+$|:/.test(name) ? {} : { servername: name }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  });
}

/** What is said there stays on this machine. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$|^localhost$/.test(address);
}

function takeOver(socket: Socket): void {
  for (const event of ["data", "end", "close", "error", "drain"]) socket.removeAllListeners(event);
  // What goes wrong below is an error or the end of what is above, too.
  socket.on("error", () => {});
}
