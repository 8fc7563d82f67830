/** The orderly end of a router: no request fails by it that ends in time. */
import type { Connect } from "./link.ts";
import type { Shared } from "./shared.ts";
import type { Listener } from "./socket.ts";
import { steerAway } from "./steer.ts";

/** So often a draining router looks whether it is done. */
const stepMs = 20;

/**
 * Resolves when nothing is left, or after `timeoutMs`, when what is left has been cut. Tunnels, which seldom
 * end by themselves, get `tunnelMs` of that, or until all else has ended, whichever is longer.
 */
export async function drain(
  shared: Shared,
  listeners: readonly Listener[],
  host: string,
  connect: Connect,
  timeoutMs: number,
  tunnelMs: number,
): Promise<void> {
  const { clock, clients, wheel, limits } = shared;
  const isFirst = !shared.isDraining;
  const deadline = clock.now() + timeoutMs;
  const tunnelDeadline = clock.now() + Math.min(timeoutMs, tunnelMs);
  shared.isDraining = true;
  if (isFirst) {
    if (timeoutMs > 0) {
      let isAway = false;
      for (const { fd, port } of listeners) {
        const isOwnNow = () => isOwn(shared, connect, toReachable(host), port);
        if (await steerAway(fd, isOwnNow)) isAway = true;
      }
      // What the kernel has already queued is taken by the event loop's next turns.
      await clock.sleep(Math.min(isAway ? limits.handshakeMs : stepMs, timeoutMs));
    }
    for (const listener of listeners) listener.stop();
  }
  // A client learns from its next answer that it has to come again; closing its connection before would meet the
  // request that is on its way. Those that stay silent are closed, sooner when their instances are about to stop.
  const drainedFrom = wheel.time;
  const idleMs = Math.min(limits.drainIdleMs, tunnelMs);
  while (clock.now() < deadline) {
    for (const client of [...clients]) {
      if (client.isIdle && wheel.time - Math.max(client.idleSince, drainedFrom) >= idleMs) client.close();
    }
    const hasRequests = [...clients].some((client) => !client.isTunnel);
    if (!hasRequests && (clients.size === 0 || clock.now() >= tunnelDeadline)) break;
    await clock.sleep(stepMs);
  }
  for (const client of [...clients]) client.cut("H24");
}

/** Makes a connection to the port, and says whether this very router took it. */
async function isOwn(shared: Shared, connect: Connect, host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const nobody = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
  const opening = { onOpen: () => resolve(true), onFailed: () => resolve(false) };
  const wire = connect(host, port, opening, nobody);
  if (!(await promise)) return true;
  await shared.clock.sleep(stepMs);
  const { localPort } = wire;
  const isTaken = [...shared.clients].some((client) => client.wire.remotePort === localPort);
  wire.close();
  return isTaken;
}

/** An address by which a listener on `host` can be reached from here. */
function toReachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
