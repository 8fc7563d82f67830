/** `nines ps`, `nines ps:wait`: the instances of an app, or of all. */
import { toDuration } from "../../std/duration.ts";
import type { Instance, InstanceState } from "../../wire/messages.ts";
import { appFlag, appFlags, defineCommand, jsonFlag, noArgs } from "../command.ts";
import { chooseApp } from "../context.ts";
import { readInstances } from "../instances.ts";
import type { Colour, Output } from "../output.ts";
import { settleTimeoutMs, untilSettled } from "../settle.ts";
import { toAge, toIso, toStaleNote } from "../when.ts";

export const ps = defineCommand({
  places: "",
  args: noArgs,
  flags: appFlags,
  notes: "Without an app: the instances of all. When no controller answers, what the agent last wrote.",
  async run({ flags, env, out, client, home }) {
    const app = flags.app === undefined && !env.NINES_APP ? undefined : chooseApp(flags.app, env);
    const { from, staleMs, instances } = await readInstances(client, home, app);
    if (flags.json) out.json(instances.map(toRow));
    if (from === "table") out.note(toStaleNote(staleMs, "the controllers do not answer"));
    else if (staleMs > 0) out.note(toStaleNote(staleMs, "the database is away"));
    if (flags.json) return 0;
    if (instances.length === 0) out.note(app === undefined ? "nothing runs" : `nothing of ${app} runs`);
    else printTable(out, instances, app === undefined);
    return 0;
  },
});

export const wait = defineCommand({
  places: "",
  args: noArgs,
  flags: {
    app: appFlag,
    json: jsonFlag,
    timeout: { kind: "number", value: "SECONDS", min: 1, max: 86_400, summary: "give up after (120)" },
  },
  async run({ flags, app, out, client }) {
    const timeoutMs = flags.timeout === undefined ? settleTimeoutMs : flags.timeout * 1_000;
    const formation = await untilSettled(client, app(), timeoutMs);
    if (flags.json) out.json({ app: app(), formation });
    else out.line(`${app()} runs as wanted: ${toFormation(formation)}`);
    return 0;
  },
});

/** `web=2 worker=1` */
export function toFormation(formation: Readonly<Record<string, number>>): string {
  const parts = Object.entries(formation).map(([type, count]) => `${type}=${count}`);
  return parts.length === 0 ? "nothing" : parts.join(" ");
}

/** `crashed, next try in 40 s (exited with status 1)` */
export function toStateText(instance: Instance, now: number = Date.now()): string {
  const waiting = instance.state === "crashed" && instance.nextTryAt > 0;
  const next = waiting ? `, next try in ${toDuration(Math.max(0, instance.nextTryAt - now))}` : "";
  return `${instance.state}${next}${instance.reason === "" ? "" : ` (${instance.reason})`}`;
}

const colours: Record<InstanceState, Colour> = {
  starting: "yellow",
  up: "green",
  unhealthy: "red",
  draining: "yellow",
  stopping: "yellow",
  crashed: "red",
  down: "dim",
};

function printTable(out: Output, instances: readonly Instance[], withApp: boolean): void {
  const sorted = instances.toSorted(
    (a, b) =>
      a.app.localeCompare(b.app) ||
      a.name.localeCompare(b.name, undefined, { numeric: true }) ||
      a.release - b.release,
  );
  out.table(
    [...(withApp ? ["APP"] : []), "INSTANCE", "RELEASE", "PID", "PORT", "SINCE", "STATE"],
    sorted.map((instance) => [
      ...(withApp ? [instance.app] : []),
      instance.name,
      `v${instance.release}`,
      instance.pid === 0 ? "-" : String(instance.pid),
      instance.port === 0 ? "-" : String(instance.port),
      toAge(instance.since),
      out.paint(colours[instance.state], toStateText(instance)),
    ]),
  );
}

function toRow(instance: Instance): Record<string, unknown> {
  return { ...instance, since: toIso(instance.since), nextTryAt: toIso(instance.nextTryAt) };
}
