/**
 * Who may what on a broker. The platform's secret may everything. Each app has a secret made from that one, so
 * that a broker knows it without a table; with it an app may use its own topics, `APP.…`, and those that
 * another app shares with it. What begins with `nines.` is the platform's alone.
 */
import { isSame, readCredential, toCredential } from "../wire/credential.ts";

/** What one holder of a secret may do on a broker. */
export interface Access {
  /** Told to the client, and shown in the stats. */
  readonly identity: string;
  mayPublish(topic: string): boolean;
  maySubscribe(topic: string, channel: string): boolean;
}

/** From the secret that a client shows to what it may; undefined when it is nobody's. */
export type Authorize = (secret: Buffer) => Access | undefined;

/** With which apps a topic's own app shares it. Asked at each use, so that it may change. */
export type Shares = (topic: string) => readonly string[];

export const everything: Access = {
  identity: "platform",
  mayPublish: () => true,
  maySubscribe: () => true,
};

const platformPrefix = "nines.";

/** The secret of one app: its name, and what only the platform can make of it. */
export function toAppSecret(secret: string, app: string): string {
  return toCredential(secret, "bus", app);
}

/** The platform's secret and those of the apps. Takes the same time for every wrong guess, whatever its length. */
export function toAuthorize(secret: string, shares: Shares = () => []): Authorize {
  return (given) => {
    if (isSame(given, secret)) return everything;
    const app = readCredential(given.toString("latin1"), secret, "bus");
    return app === undefined ? undefined : toAppAccess(app, shares);
  };
}

/** What an app may do on a broker. */
export function toAppAccess(app: string, shares: Shares): Access {
  const isOwn = (topic: string) => topic.startsWith(`${app}.`) && !topic.startsWith(platformPrefix);
  const isShared = (topic: string) => !topic.startsWith(platformPrefix) && shares(topic).includes(app);
  return {
    identity: app,
    mayPublish: (topic) => isOwn(topic) || isShared(topic),
    // On another's topic only in channels of its own: it gets copies, and takes nothing away.
    maySubscribe: (topic, channel) => isOwn(topic) || (isShared(topic) && channel.startsWith(`${app}.`)),
  };
}
