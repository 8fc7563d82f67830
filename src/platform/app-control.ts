/** What apps may ask of a controller: to publish, to read and change their data, to hold leases. */
import type { AppControl } from "../api/api.ts";
import { type Bus, type Shares, toAppAccess } from "../bus/bus.ts";
import type { Feed, Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import { toAppValve } from "../wire/valve-file.ts";
import { parseValveMessage, toValveMessage, valvesTopic } from "../wire/valve-report.ts";
import { createAppBuffer } from "./app-buffer.ts";
import { createAppData } from "./app-data.ts";
import { createAppLeases } from "./app-leases.ts";
import type { ValveBoard } from "./valve-board.ts";

export interface AppControlPorts {
  readonly replica: Replica;
  readonly feed: Feed;
  readonly store: Store;
  readonly bus: Bus;
  readonly shares: Shares;
  readonly clock: Clock;
  readonly board: ValveBoard;
}

export function createAppControl(ports: AppControlPorts): AppControl {
  return {
    async publish(app, { owner, topic, ...options }, message) {
      const name = `${owner}.${topic}`;
      if (!toAppAccess(app, ports.shares).mayPublish(name)) {
        throw new NinesError("forbidden", `the topic ${name} is not shared with ${app}`, {
          hint: `its owner shares it: nines bus:share`,
        });
      }
      const { id } = await ports.bus.publish(name, message, options);
      return { id };
    },
    valves(app, { process, seq, revision, valves }) {
      const message = toValveMessage({
        process: `${app}/${process}`,
        seq,
        revision,
        valves: valves as never,
      });
      const report = parseValveMessage(message);
      const prefix = toAppValve(app, "");
      const foreign = report.valves.find(({ name }) => !name.startsWith(prefix));
      if (foreign !== undefined) {
        throw new NinesError("forbidden", `the valve ${foreign.name} is not one of ${app}`);
      }
      ports.board.hear(report);
      ports.bus.publish(valvesTopic, message, { deadlineMs: 1_000, expiresInMs: 5_000 }).catch(() => {});
    },
    ...createAppBuffer(ports),
    ...createAppData(ports),
    ...createAppLeases(ports.store),
  };
}
