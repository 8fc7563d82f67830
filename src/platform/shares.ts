/** With whom apps share their topics, as this process's copy of the registry says. */
import type { Shares } from "../bus/bus.ts";
import type { Replica } from "../registry/registry.ts";
import { parseShare } from "../wire/records.ts";

const sharePath = /^\/apps\/([^/]+)\/shares\/([^/]+)$/;

export interface ShareTable {
  readonly of: Shares;
  onChange(callback: () => void): Disposable;
}

export function toShares(replica: Replica): ShareTable {
  let table: ReadonlyMap<string, readonly string[]> | undefined;
  const changed = () => {
    table = undefined;
  };
  replica.onChange((changes) => {
    if (changes.some(({ path }) => sharePath.test(path))) changed();
  });
  void replica.ready().then(changed, () => {});
  return {
    // Made at the first question after a change: commits come often, and few are about shares.
    of: (topic) => (table ??= readShares(replica)).get(topic.replace(/#ephemeral$/, "")) ?? [],
    onChange: (callback) =>
      replica.onChange((changes) => {
        if (!changes.some(({ path }) => sharePath.test(path))) return;
        changed();
        callback();
      }),
  };
}

/** A record that cannot be understood shares nothing. */
function readShares(replica: Replica): ReadonlyMap<string, readonly string[]> {
  const table = new Map<string, readonly string[]>();
  for (const { path, value } of replica.list("/apps/")) {
    const [, app, topic] = sharePath.exec(path) ?? [];
    if (app === undefined) continue;
    try {
      table.set(`${app}.${topic}`, parseShare(value).with);
    } catch {}
  }
  return table;
}
