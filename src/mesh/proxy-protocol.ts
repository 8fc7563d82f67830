/**
 * The PROXY protocol, versions 1 and 2: what a balancer in front of a router says of the client that it speaks
 * for, before the client's own first byte. Pure.
 */
import { INCOMPLETE } from "./fault.ts";

/** What the header said. */
export interface Proxied {
  /** Offset behind the header; INCOMPLETE, or -1 when it is none. */
  readonly end: number;
  /** Empty when the balancer speaks for itself, as in a health check. */
  readonly address: string;
}

const incomplete: Proxied = { end: INCOMPLETE, address: "" };
const malformed: Proxied = { end: -1, address: "" };
const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** With its line end; the standard's own number. */
const lineBytesMax = 107;
/** Addresses and what balancers add to them. */
const binaryBytesMax = 4_096;

export function parseProxied(bytes: Buffer, to: number): Proxied {
  if (to === 0) return incomplete;
  return bytes[0] === signature[0] ? parseBinary(bytes, to) : parseLine(bytes, to);
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`. */
function parseLine(bytes: Buffer, to: number): Proxied {
  const text = bytes.toString("latin1", 0, Math.min(to, lineBytesMax));
  if (!"PROXY ".startsWith(text.slice(0, 6))) return malformed;
  const lineTo = text.indexOf("\r\n");
  if (lineTo < 0) return text.length < lineBytesMax ? incomplete : malformed;
  const end = lineTo + 2;
  const [, family, address = "", , port = "", targetPort = "", ...rest] = text.slice(0, lineTo).split(" ");
  if (family === "UNKNOWN") return { end, address: "" };
  const isAddress =
    (family === "TCP4" && /^\d{1,3}(\.\d{1,3}){3}$/.test(address)) ||
    (family === "TCP6" && address.includes(":") && /^[0-9a-fA-F:.]{2,45}$/.test(address));
  const arePorts = /^\d{1,5}$/.test(port) && /^\d{1,5}$/.test(targetPort) && rest.length === 0;
  return isAddress && arePorts ? { end, address } : malformed;
}

function parseBinary(bytes: Buffer, to: number): Proxied {
  const seen = Math.min(to, signature.length);
  if (bytes.compare(signature, 0, seen, 0, seen) !== 0) return malformed;
  if (to < 16) return incomplete;
  const length = bytes.readUInt16BE(14);
  const end = 16 + length;
  if (bytes[12]! >> 4 !== 2 || length > binaryBytesMax) return malformed;
  if (to < end) return incomplete;
  const command = bytes[12]! & 0x0f;
  if (command === 0) return { end, address: "" };
  if (command !== 1) return malformed;
  switch (bytes[13]) {
    case 0x11:
      return length < 12 ? malformed : { end, address: bytes.subarray(16, 20).join(".") };
    case 0x21:
      return length < 36 ? malformed : { end, address: toAddress6(bytes) };
    default:
      return { end, address: "" };
  }
}

function toAddress6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(16 + 2 * index).toString(16));
  return groups.join(":");
}
