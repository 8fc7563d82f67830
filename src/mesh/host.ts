/** What a Host header may hold; pure. */
import { COLON, characters, HOST, isText } from "./characters.ts";

/** Most are so already. */
const isHostName = /^[a-z\d.-]*[a-z\d]$/;

/** A name or an address, and maybe a port: nothing that two readers could take for two different hosts. */
export function isHost(bytes: Buffer, from: number, to: number): boolean {
  if (to === from || to - from > 255 + 6) return false;
  let at = from;
  if (bytes[at] === 91) {
    while (at < to && bytes[at] !== 93) at++;
    if (at++ === to || at - from < 4) return false;
    for (let i = from + 1; i < at - 1; i++) if (!isAddressByte(bytes[i]!)) return false;
  } else {
    while (at < to && bytes[at] !== COLON) {
      if (bytes[at] === 91 || bytes[at] === 93 || (characters[bytes[at]!]! & HOST) === 0) return false;
      at++;
    }
    if (at === from) return false;
  }
  if (at === to) return true;
  if (bytes[at++] !== COLON || at === to || to - at > 5) return false;
  for (; at < to; at++) if (bytes[at]! < 48 || bytes[at]! > 57) return false;
  return true;
}

/** Lower case, without port and trailing dot. */
export function toHostName(host: string): string {
  const colon = host.indexOf(":");
  const name = colon < 0 || host.startsWith("[") ? host : host.slice(0, colon);
  if (isHostName.test(name)) return name;
  if (name.startsWith("[")) return name.slice(0, name.indexOf("]") + 1).toLowerCase();
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

/** Where the authority of `http://authority/…` starts, or 0 when the target has another form. */
export function toAuthorityAt(bytes: Buffer, from: number, to: number): number {
  if (to - from > 7 && isText(bytes, from, "http://") && bytes[from + 4] === COLON) return from + 7;
  if (to - from > 8 && isText(bytes, from, "https://") && bytes[from + 5] === COLON) return from + 8;
  return 0;
}

function isAddressByte(byte: number): boolean {
  return (byte >= 48 && byte <= 58) || byte === 46 || ((byte | 32) >= 97 && (byte | 32) <= 102);
}
