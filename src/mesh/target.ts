/** One instance as this router sees it: what was reported of it, and what this router has going with it. */
import type { Instance } from "../wire/messages.ts";
import type { Link } from "./link.ts";

export class Target {
  /** The last report. */
  instance: Instance;
  /** Requests and tunnels of this router in it. */
  inflight = 0;
  /** Of these, those whose answer has begun, and the tunnels. */
  answering = 0;
  quarantinedUntil = 0;
  /** When it vanished from its agent's reports; 0 while it is in them. */
  goneAt = 0;
  /** Connections without a request, the most recently used last. */
  readonly idle: Link[] = [];
  /** All connections, these included. */
  readonly links = new Set<Link>();

  constructor(instance: Instance) {
    this.instance = instance;
  }

  get waiting(): number {
    return this.inflight - this.answering;
  }

  /** Gets nothing new and is to end. */
  get isLeaving(): boolean {
    const { state } = this.instance;
    return this.goneAt > 0 || state === "draining" || state === "stopping";
  }

  /** Nothing of this router is left in it. */
  get isDrained(): boolean {
    return this.isLeaving && this.inflight === 0 && this.links.size === 0;
  }

  /**
   * No requests any more: closes what is idle. When it cannot answer those it has, the repeatable ones go
   * elsewhere; one that drains or stops in order still answers.
   */
  leave(): void {
    this.close();
    const { state } = this.instance;
    if ((state === "draining" || state === "stopping") && this.goneAt === 0) return;
    for (const link of [...this.links]) link.borrower?.onTargetOut();
  }

  /** Closes what is idle; for the end of the router. */
  close(): void {
    for (const link of this.idle.splice(0)) link.discard();
  }
}
