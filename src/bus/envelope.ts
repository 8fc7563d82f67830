/**
 * How a flat map travels: as a JSON object of strings, in UTF-8. `_id` and `_src` are set here, `_expires`
 * (ms since 1970) when the publisher wants it. Whoever reads ignores keys it does not know.
 */
import { NinesError } from "../std/errors.ts";
import type { Message } from "../wire/messages.ts";
import { clientLimits } from "./limits.ts";

export interface Stamp {
  readonly id: string;
  readonly sender: string;
  readonly expiresAt?: number | undefined;
}

/** A key of so many characters is short enough whatever they are. */
const quickMax = clientLimits.keyBytesMax / 3;

/** A message as bytes; throws `invalid` or `too_large`. */
export function toBody(message: Message, stamp: Stamp): Buffer {
  const keys = Object.keys(message);
  if (keys.length > clientLimits.keysMax) {
    throw new NinesError(
      "too_large",
      `a message has at most ${clientLimits.keysMax} keys, this one ${keys.length}`,
    );
  }
  for (const key of keys) {
    if (key === "" || (key.length > quickMax && Buffer.byteLength(key) > clientLimits.keyBytesMax)) {
      throw new NinesError(
        "invalid",
        `a message's key is 1 to ${clientLimits.keyBytesMax} bytes long: "${key.slice(0, 40)}"`,
      );
    }
    if (typeof message[key] !== "string") {
      throw new NinesError("invalid", `message.${key}: expected a string, found ${typeof message[key]}`);
    }
  }
  const expiry = stamp.expiresAt === undefined ? {} : { _expires: String(Math.ceil(stamp.expiresAt)) };
  const body = Buffer.from(JSON.stringify({ ...message, ...expiry, _id: stamp.id, _src: stamp.sender }));
  if (body.length > clientLimits.messageBytesMax) {
    throw new NinesError(
      "too_large",
      `a message is at most ${clientLimits.messageBytesMax} bytes, this one ${body.length}`,
      { hint: "put the bulk elsewhere and publish where it is" },
    );
  }
  return body;
}

/** Bytes as a message; throws `invalid` when they are no flat map of strings. */
export function parseBody(body: Buffer): Message {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (cause) {
    throw new NinesError("invalid", "message: not JSON", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new NinesError("invalid", "message: not a map");
  }
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== "string") {
      throw new NinesError("invalid", `message.${key.slice(0, 40)}: expected a string, found ${typeof item}`);
    }
  }
  return value as Message;
}
