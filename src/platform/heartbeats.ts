/**
 * A dead man's switch: an address outside is told each half minute that all is watched; when that ends, it
 * raises the alarm. Sent at once and never later: a beat that had waited would be a lie.
 */
import type { Clock } from "../std/clock.ts";
import { toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import type { ReceiverRecord } from "../wire/asserts.ts";

export interface HeartbeatPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

const answerMs = 5_000;

export class Heartbeats {
  readonly #ports: HeartbeatPorts;
  readonly #beats = new Map<string, { dueAt: number; busy: boolean; trouble: string }>();

  constructor(ports: HeartbeatPorts) {
    this.#ports = ports;
  }

  /** Sends to whom it is time to send; waits for nobody. */
  step(receivers: ReadonlyMap<string, ReceiverRecord>, said: object): void {
    const now = this.#ports.clock.now();
    for (const name of this.#beats.keys()) if (!receivers.has(name)) this.#beats.delete(name);
    for (const [name, receiver] of receivers) {
      const [url] = receiver.urls;
      if (receiver.kind !== "heartbeat" || url === undefined) continue;
      const beat = this.#beats.get(name) ?? { dueAt: now, busy: false, trouble: "" };
      this.#beats.set(name, beat);
      if (beat.busy || now < beat.dueAt) continue;
      beat.dueAt = now + receiver.repeatIntervalMs;
      beat.busy = true;
      void this.#send(url, said).then((trouble) => {
        if (trouble !== "" && beat.trouble === "")
          this.#ports.log.warn("heartbeat_not_sent", { receiver: name, trouble });
        beat.busy = false;
        beat.trouble = trouble;
      });
    }
  }

  trouble(name: string): string {
    return this.#beats.get(name)?.trouble ?? "";
  }

  async #send(url: string, said: object): Promise<string> {
    const late = new AbortController();
    using _timer = this.#ports.clock.after(answerMs, () => late.abort());
    try {
      const response = await this.#ports.fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(said),
        redirect: "manual",
        signal: late.signal,
      });
      await response.body?.cancel();
      return response.ok ? "" : `answered ${response.status}`;
    } catch (error) {
      return late.signal.aborted ? `no answer in ${answerMs} ms` : toError(error).message;
    }
  }
}
