/**
 * The leader's part: stores what the alerts have come to, and has the receivers told. Each step is written down
 * when it is done, so that another controller goes on after a kill at any of them; what may then happen twice
 * carries the same fingerprint and the same idempotency key.
 *
 *   1. /alerts/FINGERPRINT    firing or resolved, by compare and set, with the leader's token
 *   2. a write to the buffer  of each receiver whose notice is due; a relay delivers it
 *   3. /notices/RECEIVER/…    what that receiver knows now
 */
import {
  type AlertWrite,
  isForgotten,
  type Moment,
  type Notice,
  nextNotice,
  planAlerts,
  type Suppressions,
  toBody,
  toGroups,
  toSuppressions,
  toTargets,
  type Watched,
} from "../metrics/asserts.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { type AlertRecord, alertPaths, type ReceiverRecord, type SilenceRecord } from "../wire/asserts.ts";
import { type AlertView, readAlerts, readNotice, readReceivers, readSilences } from "./alert-records.ts";
import type { OutgoingTarget } from "./outgoing.ts";

export type DeskWrite =
  | { readonly kind: "set"; readonly path: string; readonly value: unknown; readonly ifRevision: number }
  | { readonly kind: "remove"; readonly path: string; readonly ifRevision: number };

export interface DeskPorts {
  readonly view: AlertView;
  readonly clock: Clock;
  readonly log: Log;
  /** Throws `conflict` when this controller does not lead; resolves to the revision. */
  readonly transact: (writes: readonly DeskWrite[]) => Promise<number>;
  /** To the write buffer. */
  readonly enqueue: (
    to: OutgoingTarget,
    body: string,
    options: { readonly key: string; readonly idempotencyKey: string },
  ) => Promise<unknown>;
  /** Where people see the alerts. */
  readonly externalUrl: string;
  /** A notice is on its way. */
  readonly told: (receiver: string, alerts: number) => void;
}

const writesMax = 100;
/** A receiver that is away for hours is told of what still matters, not of all that was. */
const noticeLimits = { concurrencyMax: 4, attemptsMax: 10, depthMax: 1_000 } as const;
const noticesMax = 50;
/** A silence that is over can still be read about for a day. */
const silenceKeptMs = 86_400_000;

export class Desk {
  readonly #ports: DeskPorts;
  /** The copy of the registry must have come so far before what it says is acted upon. */
  #revision = 0;
  #trouble = "";

  constructor(ports: DeskPorts) {
    this.#ports = ports;
  }

  /** True when the copy shows all that was written from here. */
  get isCurrent(): boolean {
    return this.#ports.view.revision >= this.#revision;
  }

  /** One round; throws nothing. What did not succeed is tried in the next. */
  async act(watched: readonly Watched[], { wall }: Moment): Promise<void> {
    if (!this.isCurrent) return;
    try {
      const stored = readAlerts(this.#ports.view);
      const writes = planAlerts(watched, stored, wall);
      if (writes.length > 0) return await this.#store(writes);
      const silences = readSilences(this.#ports.view);
      await this.#tell(stored, toSuppressions(stored, silences, wall), wall);
      await this.#tidy(silences, wall);
      this.#trouble = "";
    } catch (error) {
      const reason = toError(error).message;
      if (reason !== this.#trouble) this.#ports.log.warn("alerts_not_handled", { reason });
      this.#trouble = reason;
    }
  }

  async #store(writes: readonly AlertWrite[]): Promise<void> {
    const { view, log } = this.#ports;
    for (let at = 0; at < writes.length; at += writesMax) {
      const some = writes.slice(at, at + writesMax);
      await this.#write(
        some.map(({ fingerprint, record }) => {
          const path = alertPaths.alert(fingerprint);
          const ifRevision = view.get(path)?.revision ?? 0;
          if (record === undefined) return { kind: "remove", path, ifRevision };
          return { kind: "set", path, value: record, ifRevision };
        }),
      );
      for (const { fingerprint, record } of some) {
        if (record === undefined || record.state === "pending") continue;
        const { name, state, value, threshold } = record;
        log.info(`alert_${state}`, {
          alert: name,
          fingerprint,
          value: value ?? undefined,
          threshold: threshold ?? undefined,
        });
      }
    }
  }

  async #tell(
    alerts: ReadonlyMap<string, AlertRecord>,
    suppressions: Suppressions,
    wall: number,
  ): Promise<void> {
    const { view } = this.#ports;
    let left = noticesMax;
    for (const [name, receiver] of readReceivers(view)) {
      if (receiver.kind === "heartbeat") continue;
      const groups = toGroups(receiver, name, alerts);
      for (const group of groups) {
        const told = readNotice(view, alertPaths.notice(name, group.id));
        const notice = nextNotice(receiver, name, group, told, suppressions, wall);
        if (notice === undefined) continue;
        if (left-- === 0) return;
        await this.#send(name, receiver, notice);
      }
      const forgotten = view.list(alertPaths.notice(name, "")).flatMap(({ path, revision }): DeskWrite[] => {
        const told = readNotice(view, path);
        const group = groups.find((one) => path === alertPaths.notice(name, one.id));
        if (told !== undefined && !isForgotten(receiver, told, group, wall)) return [];
        return [{ kind: "remove", path, ifRevision: revision }];
      });
      if (forgotten.length > 0) await this.#write(forgotten.slice(0, writesMax));
    }
  }

  async #send(name: string, receiver: ReceiverRecord, notice: Notice): Promise<void> {
    const { view, log, enqueue, externalUrl, told } = this.#ports;
    if (notice.alerts.size > 0) {
      const body = toBody(receiver.kind, notice, { receiver: name, externalUrl });
      for (const target of toTargets(name, receiver)) {
        const options = { key: notice.group.id, idempotencyKey: notice.idempotencyKey };
        // One that is full, or gone, holds up nobody else.
        await enqueue({ ...target, ...noticeLimits }, body, options).catch((error: unknown) => {
          if (!(error instanceof NinesError) || (error.code !== "overloaded" && error.code !== "not_found"))
            throw error;
          log.warn("notice_not_taken", { receiver: name, target: target.name, reason: error.message });
        });
      }
      told(name, notice.alerts.size);
    }
    const path = alertPaths.notice(name, notice.group.id);
    await this.#write([
      { kind: "set", path, value: notice.record, ifRevision: view.get(path)?.revision ?? 0 },
    ]);
  }

  async #tidy(silences: ReadonlyMap<string, SilenceRecord>, wall: number): Promise<void> {
    const { view } = this.#ports;
    const over = [...silences].filter(([, silence]) => wall - Date.parse(silence.expiresAt) > silenceKeptMs);
    const writes = over.flatMap(([id]): DeskWrite[] => {
      const entry = view.get(alertPaths.silence(id));
      return entry === undefined ? [] : [{ kind: "remove", path: entry.path, ifRevision: entry.revision }];
    });
    if (writes.length > 0) await this.#write(writes.slice(0, writesMax));
  }

  async #write(writes: readonly DeskWrite[]): Promise<void> {
    this.#revision = await this.#ports.transact(writes);
  }
}
