/**
 * Moves new connections to the other routers on the port, before this one stops listening: what the kernel
 * had queued for a listener that closes would be reset.
 *
 * The kernel can be told which of the listeners on a port gets all new connections, by an index that it does
 * not reveal. So each index is tried, and a connection made to see who takes it. The last index comes first:
 * when this listener is closed there is no such index any more, and the kernel chooses freely again.
 */
import { countListeners, steerTo } from "../os/reuseport.ts";

/** So many listeners on one port are looked through. */
const listenersMax = 64;

/** True when others take all new connections. `isOwn` makes one, and says whether this router got it. */
export async function steerAway(fd: number, isOwn: () => Promise<boolean>): Promise<boolean> {
  const count = Math.min(listenersMax, countListeners(fd));
  if (count < 2) return false;
  for (let index = count - 1; index >= 0; index--) {
    if (!steerTo(fd, index)) return false;
    if (!(await isOwn())) return true;
  }
  return false;
}
