/** Asks for a change of what runs, and reports how it gets on until it is in service, or is not. */
import { randomUUID } from "node:crypto";
import { toDuration } from "../std/duration.ts";
import { NinesError } from "../std/errors.ts";
import { type ChangeReply, headers, type RolloutEvent, type RolloutProgress } from "../wire/api.ts";
import type { Rollout, RolloutState } from "../wire/records.ts";
import { presentStage } from "../wire/stages.ts";
import type { Ask, Client } from "./client.ts";
import { exitCodes } from "./exit.ts";
import { followRollout } from "./follow.ts";
import type { Output } from "./output.ts";

/** Flags of the commands that change what runs. */
export const waitFlags = {
  wait: { kind: "switch", summary: "wait until it is in service (the default)" },
  "no-wait": { kind: "switch", summary: "return as soon as it is accepted" },
  detach: { kind: "switch", summary: "the same as --no-wait" },
} as const;

/** Sends the change under a name of its own, so that it may be sent again when a controller dies over it. */
export async function askChange(client: Client, path: string, ask: Ask): Promise<Rollout | undefined> {
  const reply = await client.json<ChangeReply>(path, {
    ...ask,
    repeatable: true,
    headers: { ...ask.headers, [headers.rolloutId]: randomUUID() },
  });
  return reply.rollout ?? undefined;
}

/** Whether to follow it. */
export const isWaiting = (flags: { readonly "no-wait": boolean; readonly detach: boolean }): boolean =>
  !flags["no-wait"] && !flags.detach;

/** Reports the rollout to its end. The exit code is 0 only when it came into service. */
export async function watchRollout(
  client: Client,
  out: Output,
  rollout: Rollout,
  how: { readonly wait: boolean; readonly json: boolean; readonly url?: string },
): Promise<number> {
  const version = `v${rollout.target.release}`;
  if (!how.wait) {
    if (how.json) out.json(rollout);
    else out.line(`${version} is under way; nines releases -a ${rollout.app} shows how it ends`);
    return exitCodes.done;
  }
  const say = how.json ? () => {} : createReport(out);
  const end = await followRollout(client, rollout, say);
  if (how.json) out.json(end);
  if (end.state === "failed") throw toFailure(end, how.json);
  if (end.state === "paused") return tellPaused(out, end, how.json);
  if (!how.json) {
    out.line(out.paint("green", `${rollout.app} ${toSuccess(end, version, how.url)}`));
  }
  return exitCodes.done;
}

/** It waits for somebody. Only where it was asked to stop, that is what was to happen. */
function tellPaused(out: Output, end: Rollout, isJson: boolean): number {
  const { staging, app } = end;
  const stage = presentStage(staging)?.name ?? "";
  if (staging?.until === staging?.stage && staging?.blocked !== true) {
    if (!isJson) out.line(`v${end.target.release} is in ${stage}; nines promote -a ${app} takes it further`);
    return exitCodes.done;
  }
  throw new NinesError(
    "conflict",
    `v${end.target.release} of ${app} is paused in ${stage}: ${end.reason ?? ""}`,
    {
      hint:
        staging?.blocked === true
          ? `nines rollback -a ${app} takes it back`
          : `nines promote, nines resume or nines rollback -a ${app}`,
    },
  );
}

function toSuccess(end: Rollout, version: string, url: string | undefined): string {
  if (end.kind === "config" && end.baseline === undefined)
    return `${version} has the config; nothing is deployed yet`;
  if (end.kind === "restart") return "restarted";
  return `${version} is in service${url === undefined ? "" : ` at ${url}`}`;
}

const progressIntervalMs = 10_000;
const headings: Partial<Record<RolloutState, string>> = {
  building: "Building",
  releasing: "Running the release command",
  starting: "Starting",
  switching: "Switching the traffic",
  draining: "Draining what served before",
};

/** Prints events as they come; a state or an instance's state is named once, also when a new controller repeats it. */
export function createReport(out: Output): (event: RolloutEvent) => void {
  const said = new Set<string>();
  let toldAt = Number.NEGATIVE_INFINITY;
  let told = "";
  const once = (key: string, text: string) => {
    if (said.has(key)) return;
    said.add(key);
    out.line(text);
  };
  return (event) => {
    switch (event.kind) {
      case "progress": {
        const key = `${event.stage} ${event.claims.map(({ claim, state }) => `${claim} ${state}`).join()}`;
        const now = performance.now();
        // What changes is said at once, what goes on as it did now and then.
        if (key === told && now - toldAt < progressIntervalMs) return;
        [told, toldAt] = [key, now];
        for (const line of toProgressLines(event)) out.line(`       ${line}`);
        return;
      }
      case "state": {
        const { state, staging, reason } = event.rollout;
        const stage = presentStage(staging);
        if (stage !== undefined && (state === "staging" || state === "baking" || state === "returning")) {
          const [why = ""] = (reason ?? "").split("\n");
          const what = { staging: "starting", baking: "baking", returning: `going back: ${why}` }[state];
          return once(
            `${stage.name} ${state} ${event.rollout.changedAt}`,
            `${out.paint("bold", "----->")} ${stage.name}: ${what}`,
          );
        }
        const heading = headings[state];
        if (heading === undefined) return;
        const what =
          event.rollout.state === "starting" ? `${heading} v${event.rollout.target.release}` : heading;
        return once(event.rollout.state, `${out.paint("bold", "----->")} ${what}`);
      }
      case "output":
        // What the build says in headings of its own stands where ours do.
        return out.line(event.line.startsWith("----->") ? event.line : `       ${event.line}`);
      case "instance": {
        const { id, name, state, reason, release } = event.instance;
        const why = reason === "" ? "" : `: ${reason}`;
        return once(`${id} ${state} ${reason}`, `       ${name} (v${release}) ${state}${why}`);
      }
      case "beat":
        return;
    }
  };
}

/** `12 s of 2m, 340 of 500 requests; waits for …`, and a line for each claim. */
export function toProgressLines(progress: RolloutProgress): readonly string[] {
  const { elapsedMs, bakeMs, requests, requestsMin, claims, waitingFor } = progress;
  const time = `${Math.round(elapsedMs / 1_000)} s of ${toDuration(bakeMs)}`;
  const seen =
    requests === null ? "" : `, ${requests}${requestsMin > 0 ? ` of ${requestsMin}` : ""} requests`;
  const waits = waitingFor === "" ? "" : `; waits for ${waitingFor}`;
  return [`${time}${seen}${waits}`, ...claims.map(({ state, why }) => `  ${state.padEnd(8)} ${why}`)];
}

/** Why it is not in service, with the last lines of what failed unless `short`. */
export function toFailure(rollout: Rollout, short = false): NinesError {
  const [first = "no reason was given", ...rest] = (rollout.reason ?? "").split("\n");
  const log = short || rest.length === 0 ? "" : `\n${rest.map((line) => `       ${line}`).join("\n")}`;
  const goesOn =
    rollout.baseline === undefined ? "nothing is in service" : `v${rollout.baseline.release} goes on serving`;
  return new NinesError("conflict", `v${rollout.target.release} of ${rollout.app} failed: ${first}${log}`, {
    hint: `${goesOn}; nines logs -a ${rollout.app} shows more`,
  });
}
