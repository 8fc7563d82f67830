/** With whom apps share their topics. Pure. */
import { NinesError } from "../std/errors.ts";
import { parseShare, paths } from "../wire/records.ts";
import type { Asking, Plan } from "./plan.ts";
import { readApp, revisionOf, setSeen, type View, type Write } from "./view.ts";

/** One topic of an app, by its name without the app's, and the apps that may use it. */
export interface TopicShare {
  readonly topic: string;
  readonly with: readonly string[];
}

const sharesMax = 200;
const guestsMax = 50;

/** The other app may publish to the topic, and hear it in channels that carry its name. */
export function planShare(view: View, asking: Asking, topic: string, guest: string): Plan<void> {
  checkTopic(asking.app, topic);
  if (guest === asking.app) {
    throw new NinesError("invalid", `${asking.app} may use its own topics without a share`);
  }
  readApp(view, guest);
  const shares = readShares(view, asking.app);
  const guests = shares.find((share) => share.topic === topic)?.with;
  if (guests?.includes(guest)) return { writes: [], reply: undefined, say: "" };
  if (guests === undefined && shares.length >= sharesMax) {
    throw new NinesError("too_large", `${asking.app} shares ${sharesMax} topics, its limit`);
  }
  if (guests !== undefined && guests.length >= guestsMax) {
    throw new NinesError("too_large", `${asking.app}.${topic} is shared with ${guestsMax} apps, its limit`);
  }
  return {
    writes: [setSeen(view, paths.share(asking.app, topic), { with: [...(guests ?? []), guest] })],
    reply: undefined,
    say: `Share topic ${topic} with ${guest} by ${asking.by}`,
  };
}

export function planUnshare(view: View, asking: Asking, topic: string, guest: string): Plan<void> {
  const shares = readShares(view, asking.app);
  if (!shares.some((share) => share.topic === topic && share.with.includes(guest))) {
    throw new NinesError("not_found", `${asking.app} does not share ${topic} with ${guest}`, {
      hint: `nines bus:shares -a ${asking.app} lists what it shares`,
    });
  }
  return {
    writes: [toWithout(view, paths.share(asking.app, topic), guest)],
    reply: undefined,
    say: `No longer share topic ${topic} with ${guest} by ${asking.by}`,
  };
}

/** By topic. A record that cannot be understood shares nothing, as brokers see it too. */
export function readShares(view: View, app: string): readonly TopicShare[] {
  readApp(view, app);
  const prefix = paths.share(app, "");
  return view
    .list(prefix)
    .map(({ path, value }) => ({ topic: path.slice(prefix.length), with: toGuests(value) }));
}

/** What makes sure that a later app of the same name finds no door open. */
export function forgetGuest(view: View, guest: string): readonly Write[] {
  return view.list(paths.app("")).flatMap(({ path, value }) => {
    const [, app] = /^\/apps\/([^/]+)\/(?:data-)?shares\/[^/]+$/.exec(path) ?? [];
    if (app === undefined || app === guest || !toGuests(value).includes(guest)) return [];
    return [toWithout(view, path, guest)];
  });
}

function toWithout(view: View, path: string, guest: string): Write {
  const value = view.get(path)?.value;
  const left = toGuests(value).filter((one) => one !== guest);
  if (left.length > 0) return setSeen(view, path, { ...(value as object), with: left });
  return { kind: "remove", path, ifRevision: revisionOf(view, path) };
}

function toGuests(value: unknown): readonly string[] {
  try {
    return parseShare(value).with;
  } catch {
    return [];
  }
}

/** With the app's name before it, it is the name of a topic on the bus, which has 64 characters at most. */
function checkTopic(app: string, topic: string): void {
  const charsMax = 64 - app.length - 1;
  const good = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(topic) && topic.length <= charsMax;
  if (good) return;
  throw new NinesError("invalid", `"${topic.slice(0, 80)}" cannot be a topic of ${app}`, {
    hint: `letters, digits, '.', '-' and '_', not starting with '.', at most ${charsMax}; without the app's name`,
  });
}
