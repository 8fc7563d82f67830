import type { Message } from "../wire/messages.ts";
import { clientLimits } from "./limits.ts";

/**
 * The rule for state: of what is said about one thing, only something newer counts. Gives a filter that is
 * true when the message's `_seq` is greater than any before with the same value of `key`. A message without
 * a number in `_seq` always counts. What was not spoken of for longest is forgotten first.
 */
export function newest(
  key: string,
  keysMax: number = clientLimits.newestKeysMax,
): (message: Message) => boolean {
  const seqs = new Map<string, number>();
  return (message) => {
    const seq = Number(message._seq ?? Number.NaN);
    if (!Number.isFinite(seq)) return true;
    const thing = message[key] ?? "";
    const last = seqs.get(thing);
    if (last !== undefined && seq <= last) return false;
    seqs.delete(thing);
    seqs.set(thing, seq);
    if (seqs.size > keysMax) seqs.delete(seqs.keys().next().value as string);
    return true;
  };
}
