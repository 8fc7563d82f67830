/**
 * After an upgrade: bytes pass in both directions as they are, each side waits when the other does not read,
 * and the end of one direction is passed on without ending the other.
 */
import type { Client } from "./client.ts";
import type { Exchange } from "./exchange.ts";
import type { Link } from "./link.ts";
import type { Ears, Wire } from "./socket.ts";
import { Alarm, type Wheel } from "./timers.ts";

/** Bytes held for one side before the other is not read any more. */
const bufferBytes = 262_144;

/** Joins the two connections until both directions have ended, or one is cut, or idle for too long. */
export function startTunnel(
  wheel: Wheel,
  client: Client,
  link: Link,
  exchange: Exchange,
  early: Buffer | null,
  idleMs: number,
): void {
  wheel.clear(client.alarm);
  let passed = 0;
  let ended = 0;
  let isOver = false;

  const over = (code: "" | "H15" | "H18" | "H27") => {
    if (isOver) return;
    isOver = true;
    wheel.remove(alarm);
    client.wire.ears = client;
    link.wire.ears = link;
    client.wire.resume();
    // Nobody's any more, so that it is closed behind what is queued for it, and not cut.
    link.borrower = null;
    exchange.onTunnelEnd(code, passed);
    if (client.wire.closed) client.onClose();
    if (link.wire.closed) link.onClose(false);
  };
  const alarm = new Alarm(() => over("H15"));
  const touch = () => wheel.set(alarm, idleMs);

  const join = (from: Wire, to: Wire, isAnswer: boolean): Ears => ({
    onData(chunk) {
      touch();
      if (isAnswer) passed += chunk.length;
      to.give(chunk, 0, chunk.length);
      if (to.queued > bufferBytes) from.pause();
    },
    onDrain() {
      touch();
      to.resume();
    },
    onEnd() {
      to.shutdown();
      if (++ended === 2) over("");
    },
    onClose(reset) {
      if (reset && !isAnswer) over("H27");
      else if (reset) over("H18");
      else over("");
    },
  });
  const clientEars = join(client.wire, link.wire, false);
  const linkEars = join(link.wire, client.wire, true);
  client.wire.ears = clientEars;
  link.wire.ears = linkEars;
  client.wire.resume();
  link.wire.resume();
  touch();
  const sent = client.takeEarly();
  if (sent !== null) clientEars.onData(sent);
  if (early !== null) linkEars.onData(early);
  if (client.isSpent) clientEars.onEnd();
}
