import type { Line } from "./line.ts";
import type { BrokerAddress, Roster } from "./roster.ts";

/** Whoever keeps one line per broker, with something of its own beside each. */
export interface Peer {
  readonly line: Line;
}

/**
 * One peer for every broker of the roster. A broker that left the list is let go only when its connection
 * is gone too: the list may be what is wrong.
 */
export class Lines<P extends Peer> implements Disposable {
  readonly #byId = new Map<string, P>();
  readonly #open: (address: BrokerAddress) => P;
  readonly #compare: (left: P, right: P) => number;
  #addresses: readonly BrokerAddress[] = [];
  #peers: readonly P[] = [];
  #watch: Disposable | undefined;

  constructor(open: (address: BrokerAddress) => P, compare: (left: P, right: P) => number = () => 0) {
    this.#open = open;
    this.#compare = compare;
  }

  /** All of them, in order. */
  get peers(): readonly P[] {
    return this.#peers;
  }

  /** Opens a line to each broker of the roster, now and from now on. */
  follow(roster: Roster): void {
    this.#watch = roster.watch((addresses) => {
      this.#addresses = addresses;
      this.prune();
      for (const address of addresses) {
        if (!this.#byId.has(address.id)) this.#byId.set(address.id, this.#open(address));
      }
      this.#peers = [...this.#byId.values()].sort(this.#compare);
    });
  }

  /** Closes lines to where no broker is any more; called again when a line has gone down. */
  prune(): void {
    for (const [id, peer] of this.#byId) {
      const listed = this.#addresses.find((address) => address.id === id);
      const { address, phase } = peer.line;
      const moved = listed !== undefined && (listed.host !== address.host || listed.port !== address.port);
      if (!moved && (listed !== undefined || phase.kind === "up")) continue;
      this.#byId.delete(id);
      if (moved) this.#byId.set(id, this.#open(listed));
      this.#peers = [...this.#byId.values()].sort(this.#compare);
      peer.line.close();
    }
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]();
    const peers = this.#peers;
    this.#byId.clear();
    this.#peers = [];
    for (const peer of peers) peer.line.close();
  }
}
