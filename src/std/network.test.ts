import { expect, test } from "bun:test";
import { BlockList, isIPv6 } from "node:net";
import { isWithin, parseNetwork } from "./network.ts";

const networks = [
  "10.0.0.0/8",
  "192.0.2.7",
  "192.168.4.0/22",
  "0.0.0.0/0",
  "fd00::/8",
  "::1",
  "2001:db8::/33",
];
const addresses = [
  ...["10.1.2.3", "11.0.0.1", "192.0.2.7", "192.0.2.8", "192.168.7.255", "192.168.8.0", "255.255.255.255"],
  ...["fd12::1", "fe80::1", "::1", "::2", "2001:db8:7fff::1", "2001:db8:8000::1", "::ffff:10.1.2.3"],
];
for (const network of networks) {
  test(`${network} covers what node:net says`, () => {
    const [base = "", bits] = network.split("/");
    const list = new BlockList();
    const family = isIPv6(base) ? "ipv6" : "ipv4";
    list.addSubnet(base, bits === undefined ? (family === "ipv6" ? 128 : 32) : Number(bits), family);
    for (const address of addresses.filter((one) => isIPv6(one) === isIPv6(base))) {
      const expected = list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
      expect([address, isWithin(address, [parseNetwork(network)!])]).toEqual([address, expected]);
    }
  });
}

test("an IPv4 address written as IPv6 is in the IPv4 range", () => {
  expect(isWithin("::ffff:10.1.2.3", [parseNetwork("10.0.0.0/8")!])).toBe(true);
});

for (const bad of [
  "",
  "10",
  "10.0.0.0/33",
  "10.0.0.256",
  "::1/129",
  ":::",
  "1:2:3",
  "10.0.0.0/8/8",
  "10.0.0.0/-1",
  "x::1",
  "::1.2.3",
]) {
  test(`"${bad}" is no range`, () => expect(parseNetwork(bad)).toBeUndefined());
}
