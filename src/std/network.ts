/** Ranges of addresses: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`; pure, for any runtime. */

export interface Network {
  /** 16 bytes, IPv4 mapped into IPv6. */
  readonly base: readonly number[];
  readonly bits: number;
}

/** Undefined for what is none. */
export function parseNetwork(text: string): Network | undefined {
  const [address = "", prefix, more] = text.trim().split("/");
  const base = parseAddress(address);
  if (base === undefined || more !== undefined) return undefined;
  const width = address.includes(":") ? 128 : 32;
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return undefined;
  const bits = prefix === undefined ? width : Number(prefix);
  return bits > width ? undefined : { base, bits: bits + 128 - width };
}

export function isWithin(address: string, networks: readonly Network[]): boolean {
  const bytes = parseAddress(address);
  return bytes !== undefined && networks.some((network) => covers(network, bytes));
}

function covers({ base, bits }: Network, bytes: readonly number[]): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (base[i] !== bytes[i]) return false;
  const mask = (0xff00 >> (bits & 7)) & 0xff;
  return mask === 0 || (base[whole]! & mask) === (bytes[whole]! & mask);
}

function parseAddress(text: string): number[] | undefined {
  if (!text.includes(":")) {
    const four = parseFour(text);
    return four && [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...four];
  }
  const [plain = ""] = text.split("%");
  const last = plain.slice(plain.lastIndexOf(":") + 1);
  const four = last.includes(".") ? parseFour(last) : undefined;
  if (last.includes(".") && four === undefined) return undefined;
  const groups =
    four === undefined
      ? plain
      : `${plain.slice(0, -last.length)}${((four[0]! << 8) | four[1]!).toString(16)}:${((four[2]! << 8) | four[3]!).toString(16)}`;
  const halves = groups.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], rest = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => "0"), ...rest];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return all.flatMap((group) => {
    const number = Number.parseInt(group, 16);
    return [number >> 8, number & 255];
  });
}

function parseFour(text: string): number[] | undefined {
  const parts = text.split(".");
  const isRight = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
  return isRight ? parts.map(Number) : undefined;
}
