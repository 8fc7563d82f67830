/** Addresses that are trusted, as networks: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`. */
import { BlockList, isIPv6 } from "node:net";

export class Networks {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /** What is none is skipped: the config has refused it before. */
  constructor(networks: readonly string[]) {
    this.#isEmpty = networks.length === 0;
    for (const network of networks) {
      const [address = "", bits] = network.split("/");
      const family = isIPv6(address) ? "ipv6" : "ipv4";
      this.#list.addSubnet(
        address,
        bits === undefined ? (family === "ipv6" ? 128 : 32) : Number(bits),
        family,
      );
    }
  }

  has(address: string): boolean {
    return !this.#isEmpty && this.#list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }
}
