/**
 * The streams that tell OFREP clients that flags have changed. A notification only: whoever hears it asks for the
 * flags. A reader that does not read is cut off, connects again, and asks then.
 */
export const eventStreamsMax = 1_000;
export const heartbeatMs = 15_000;
const unreadEventsMax = 64;

const encoder = new TextEncoder();

export class FlagEvents {
  readonly #open = new Set<ReadableStreamDefaultController<Uint8Array>>();

  get size(): number {
    return this.#open.size;
  }

  /** Undefined at the bound. The first event tells the version as it is. */
  open(version: number, changedAt: number, signal: AbortSignal): ReadableStream<Uint8Array> | undefined {
    if (this.#open.size >= eventStreamsMax) return undefined;
    let own: ReadableStreamDefaultController<Uint8Array> | undefined;
    const leave = () => own !== undefined && this.#leave(own);
    signal.addEventListener("abort", leave, { once: true });
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          own = controller;
          this.#open.add(controller);
          controller.enqueue(encoder.encode(`retry: 1000\n${toEvent(version, changedAt)}`));
        },
        cancel: () => void leave(),
      },
      { highWaterMark: unreadEventsMax },
    );
  }

  changed(version: number, changedAt: number): void {
    this.#send(toEvent(version, changedAt));
  }

  /** Keeps proxies from cutting a quiet stream, and finds readers that are gone. */
  beat(): void {
    this.#send(": beat\n\n");
  }

  close(): void {
    for (const controller of this.#open) this.#leave(controller);
  }

  #send(text: string): void {
    const bytes = encoder.encode(text);
    for (const controller of this.#open) {
      if ((controller.desiredSize ?? 0) <= 0) this.#leave(controller);
      else controller.enqueue(bytes);
    }
  }

  #leave(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (!this.#open.delete(controller)) return;
    try {
      controller.close();
    } catch {
      // Its reader has cancelled it already.
    }
  }
}

function toEvent(version: number, changedAt: number): string {
  const data = {
    type: "refetchEvaluation",
    etag: String(version),
    lastModified: Math.floor(changedAt / 1_000),
  };
  return `id: ${version}\ndata: ${JSON.stringify(data)}\n\n`;
}
