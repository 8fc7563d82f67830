/**
 * Watches a rollout to its end. The controller that tells about it may be killed meanwhile: another one is
 * asked to go on from the last cursor.
 */
import { toDuration } from "../std/duration.ts";
import { NinesError, toError } from "../std/errors.ts";
import type { ReleasesReply, RolloutEvent } from "../wire/api.ts";
import type { Rollout } from "../wire/records.ts";
import { type Client, path } from "./client.ts";

/** The controller sends a beat every second; this much silence means that it is gone. */
const silenceMs = 8_000;
/** Without any event for so long, the rollout goes on unwatched. */
const unwatchedMs = 90_000;
const reconnectPauseMs = 200;

/** Hands out each event once, and returns the rollout as it ended: done, failed, or paused. */
export async function followRollout(
  client: Client,
  rollout: Rollout,
  onEvent: (event: RolloutEvent) => void,
): Promise<Rollout> {
  let cursor: string | undefined;
  let heardAt = performance.now();
  for (;;) {
    try {
      for await (const event of openEvents(client, rollout, cursor)) {
        heardAt = performance.now();
        cursor = event.cursor;
        onEvent(event);
        if (event.kind === "state" && isOver(event.rollout)) return event.rollout;
      }
    } catch (error) {
      const gone = error instanceof NinesError && error.code === "not_found";
      if (error instanceof NinesError && !error.retryable && !gone) throw error;
      const end = gone ? await lookUp(client, rollout) : undefined;
      if (end !== undefined) return end;
      if (performance.now() - heardAt > unwatchedMs) throw unwatched(rollout, error);
    }
    await Bun.sleep(reconnectPauseMs);
  }
}

const isOver = ({ state }: Rollout): boolean => state === "done" || state === "failed" || state === "paused";

async function* openEvents(
  client: Client,
  rollout: Rollout,
  cursor: string | undefined,
): AsyncGenerator<RolloutEvent> {
  const query = new URLSearchParams({
    rollout: rollout.id,
    ...(cursor === undefined ? {} : { from: cursor }),
  });
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs);
  try {
    const response = await client.send(`${path`/v1/apps/${rollout.app}/rollout/events`}?${query}`, {
      timeoutMs: 0,
      signal: silence.signal,
    });
    for await (const line of toLines(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMs);
      if (line !== "") yield JSON.parse(line) as RolloutEvent;
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** Whole lines of a stream; a last one that was cut off is dropped. */
export async function* toLines(body: ReadableStream<Uint8Array> | null): AsyncGenerator<string> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** The record of the rollout is gone, as a later one took its place: its release tells how it ended, if it did. */
async function lookUp(client: Client, rollout: Rollout): Promise<Rollout | undefined> {
  let releases: ReleasesReply["releases"];
  try {
    ({ releases } = await client.json<ReleasesReply>(path`/v1/apps/${rollout.app}/releases`));
  } catch (error) {
    if (error instanceof NinesError && error.retryable) return undefined;
    throw error;
  }
  const release = releases.find((one) => one.version === rollout.target.release);
  switch (release?.state) {
    case "current":
    case "former":
      return { ...rollout, state: "done" };
    case "failed":
      return {
        ...rollout,
        state: "failed",
        ...(release.reason === undefined ? {} : { reason: release.reason }),
      };
    default:
      return undefined;
  }
}

function unwatched(rollout: Rollout, cause: unknown): NinesError {
  return new NinesError(
    "unavailable",
    `nothing was heard of v${rollout.target.release} for ${toDuration(unwatchedMs)} (${toError(cause).message}); it may go on`,
    { cause, hint: `nines releases -a ${rollout.app} shows how it ends` },
  );
}
