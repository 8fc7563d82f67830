/** An app's log as people see it: its own lines, the agent's and the controllers' about it, the routers'. */
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { LogQuery } from "../api/api.ts";
import type { Clock } from "../std/clock.ts";
import type { Home } from "../wire/home.ts";
import { Follower, type LogSource, lastLines, sortByTime } from "./log-reader.ts";

const lookMs = 200;
const keepAliveMs = 5_000;

/** Adds a line of the platform's to an app's log. A full disk loses it. */
export function sayInAppLog(home: Home, app: string, text: string, at: Date): void {
  const path = home.appLog(app);
  const stamp = `${at.toISOString().slice(0, -1)}000+00:00`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    appendFileSync(path, `${stamp} nines[api]: ${text.replace(/[\r\n]+/g, " ")}\n`, { mode: 0o600 });
  } catch {
    // What was said is in the registry's audit, too.
  }
}

/** The last lines, then, when asked to, what is added, until the signal; an empty line keeps silence alive. */
export function readAppLog(
  home: Home,
  routers: number,
  app: string,
  query: LogQuery,
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<string> {
  const sources = toSources(home, routers, app, query);
  // Now, not when it is first read: whatever is written from here on is told, and told once.
  const followers = query.tail ? sources.map((source) => new Follower(source)) : [];
  return tell(lastLines(sources, query.lines), followers, clock, signal);
}

async function* tell(
  last: readonly string[],
  followers: readonly Follower[],
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<string> {
  yield* last;
  // The head of the reply goes with its first bytes, and whoever waits for it should know that it listens.
  if (followers.length > 0 && last.length === 0) yield "";
  let spokeAt = clock.now();
  while (followers.length > 0 && !signal.aborted) {
    const lines = sortByTime(followers.flatMap((follower) => follower.look()));
    yield* lines;
    if (lines.length > 0) spokeAt = clock.now();
    else if (clock.now() - spokeAt >= keepAliveMs) {
      spokeAt = clock.now();
      yield "";
    }
    if (lines.length === 0) await clock.sleep(lookMs, signal).catch(() => {});
  }
}

/** What one instance, or everything of its name, wrote and was told since a time; newest last. */
export function lastInstanceLines(
  home: Home,
  app: string,
  name: string,
  since: string,
  count: number,
): readonly string[] {
  const keep = (line: string) => line.includes(`[${name}]: `);
  return lastLines([{ path: home.appLog(app), keep }], count, since.replace("Z", ""));
}

function toSources(home: Home, routers: number, app: string, query: LogQuery): readonly LogSource[] {
  const { source, process } = query;
  const own: LogSource = {
    path: home.appLog(app),
    keep: (line) => {
      const [, from, name] = /^\S+ (app|nines)\[([^\]]*)\]: /.exec(line) ?? [];
      if (source !== undefined && from !== source) return false;
      return process === undefined || name === process || name?.startsWith(`${process}.`) === true;
    },
  };
  const router: LogSource["keep"] = (line) => {
    if (!/^\S+ nines\[router\]: /.test(line) || !line.includes(` app=${app} `)) return false;
    if (process === undefined) return true;
    const instance = / instance=(\S*)/.exec(line)?.[1];
    return instance === process || instance?.startsWith(`${process}.`) === true;
  };
  const ids = Array.from({ length: routers }, (_, i) => `router.${i + 1}`);
  return [
    ...(source === "router" ? [] : [own]),
    ...(source === "app" ? [] : ids.map((id) => ({ path: home.partLog(id), keep: router }))),
  ];
}
