/** What the kernel knows of every part, for `nines status`; kept on disk, so that a successor goes on counting. */
import type { Clock } from "../std/clock.ts";
import { readJson, writeJson } from "../std/file.ts";
import type { Log } from "../std/log.ts";
import type { SupervisorEvent, SupervisorSpec } from "../supervisor/supervisor.ts";
import type { Home } from "../wire/home.ts";
import type { PartKind, PartState, PartStatus } from "../wire/part.ts";
import { livingPart } from "./kernel-client.ts";

interface Row {
  readonly name: string;
  readonly kind: PartKind;
  pid: number | null;
  state: PartState;
  restarts: number;
  since: string | null;
  port?: number;
}

export interface PartBoard {
  readonly rows: () => readonly PartStatus[];
  readonly onEvent: (event: SupervisorEvent) => void;
  /** Begins the rows of these groups. */
  readonly open: (groups: readonly SupervisorSpec[]) => void;
  readonly groupOf: (part: string) => string | undefined;
  /** The group was stopped in order. */
  readonly forget: (group: string) => void;
}

interface Deps {
  readonly home: Home;
  readonly clock: Clock;
  readonly log: Log;
}

export function createPartBoard({ home, clock, log }: Deps): PartBoard {
  const groupOf = new Map<string, string>();
  const before = lastRows(home);
  const inherited = new Set([...before.values()].filter((row) => row.pid !== null).map((row) => row.name));
  const now = () => clock.wall().toISOString();
  const kernel: Row = {
    name: "kernel",
    kind: "kernel",
    pid: process.pid,
    state: "up",
    restarts: before.has("kernel") ? (before.get("kernel")?.restarts ?? 0) + 1 : 0,
    since: now(),
  };
  const rows = new Map<string, Row>([["kernel", kernel]]);
  const open = (groups: readonly SupervisorSpec[]) => {
    for (const { id: group, children } of groups) {
      for (const { id: name } of children) {
        const kind = name.replace(/\.\d+$/, "") as PartKind;
        const restarts = before.get(name)?.restarts ?? 0;
        groupOf.set(name, group);
        rows.set(name, { name, kind, pid: null, state: "starting", restarts, since: null });
      }
    }
    save();
  };
  const save = () => {
    try {
      writeJson(home.status, [...rows.values()]);
    } catch (error) {
      log.warn("status_not_saved", { message: (error as Error).message });
    }
  };

  const onEvent = (event: SupervisorEvent): void => {
    log.info(event.kind, toFields(event));
    const row = "id" in event ? rows.get(event.id) : undefined;
    if (row === undefined) return;
    switch (event.kind) {
      case "child_started": {
        const adopted = event.adopted ? before.get(row.name) : undefined;
        // It ran under the kernel before this one, and had to be started again.
        if (inherited.delete(row.name) && !event.adopted) row.restarts++;
        row.state = "up";
        row.pid = event.pid ?? null;
        row.since = adopted?.pid === event.pid ? (adopted?.since ?? now()) : now();
        const port = livingPart(home, row.name)?.port;
        if (port !== undefined) row.port = port;
        break;
      }
      case "child_exited":
        row.pid = null;
        row.state = event.asked ? "stopped" : "restarting";
        break;
      case "child_start_failed":
        row.state = "failed";
        break;
      case "restarting":
        row.restarts++;
        row.state = "restarting";
        break;
      default:
        return;
    }
    save();
  };

  return {
    rows: () => [...rows.values()],
    onEvent,
    open,
    groupOf: (part) => groupOf.get(part),
    forget: (group) => {
      for (const [id, row] of rows) if (groupOf.get(id) === group) row.state = "stopped";
    },
  };
}

function lastRows(home: Home): Map<string, PartStatus> {
  const stored = readJson(home.status);
  if (stored.kind !== "value" || !Array.isArray(stored.value)) return new Map();
  const rows = stored.value.filter(
    (row): row is PartStatus => typeof row?.name === "string" && Number.isInteger(row.restarts),
  );
  return new Map(rows.map((row) => [row.name, row]));
}

function toFields(event: SupervisorEvent): Record<string, string | number | boolean | undefined> {
  const fields: Record<string, string | number | boolean | undefined> = {};
  for (const [key, value] of Object.entries(event)) {
    if (key === "kind" || key === "supervisor") continue;
    fields[key] =
      value instanceof Error ? value.message : typeof value === "object" ? JSON.stringify(value) : value;
  }
  return fields;
}
