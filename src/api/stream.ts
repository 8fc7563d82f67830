/** A reply that goes on for as long as there is something to say and somebody to read it. */
import { toError } from "../std/errors.ts";

/** Pulled by the reader: nothing is made faster than it is read. */
export function toStream<T>(
  source: AsyncIterable<T>,
  encode: (item: T) => string | Uint8Array,
  type: string,
): Response {
  const items = source[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await items.next();
        if (next.done) return controller.close();
        const encoded = encode(next.value);
        controller.enqueue(typeof encoded === "string" ? encoder.encode(encoded) : encoded);
      } catch (error) {
        // Cut off, so that the reader sees that this is not the end, and asks again.
        controller.error(toError(error));
      }
    },
    async cancel() {
      await items.return?.();
    },
  });
  return new Response(stream, { headers: { "content-type": type, "cache-control": "no-store" } });
}
