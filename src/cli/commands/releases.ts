/** `nines releases`, `nines rollback`. */
import type { ReleaseReply, ReleasesReply } from "../../wire/api.ts";
import { path } from "../client.ts";
import { appFlags, defineCommand, noArgs } from "../command.ts";
import type { Output } from "../output.ts";
import { askChange, isWaiting, waitFlags, watchRollout } from "../rollout.ts";
import { UsageError } from "../usage.ts";
import { toAge, toStaleNote } from "../when.ts";

export const releases = defineCommand({
  places: "",
  args: noArgs,
  flags: appFlags,
  async run({ flags, app, out, client }) {
    const reply = await client.json<ReleasesReply>(path`/v1/apps/${app()}/releases`);
    if (flags.json) out.json(reply.releases);
    if (reply.staleMs > 0) out.note(toStaleNote(reply.staleMs, "the database is away"));
    if (flags.json) return 0;
    if (reply.releases.length === 0)
      out.note(`${app()} has no release; nines deploy DIR -a ${app()} makes one`);
    else {
      out.table(
        ["RELEASE", "STATE", "WHAT", "BY", "AGE"],
        reply.releases.map((release) => [
          `v${release.version}`,
          toState(out, release),
          release.description + (release.reason ? ` (${release.reason.split("\n")[0]})` : ""),
          release.by,
          toAge(release.createdAt),
        ]),
      );
    }
    return 0;
  },
});

export const rollback = defineCommand({
  places: "[vN]",
  args: { min: 0, max: 1 },
  flags: { ...appFlags, ...waitFlags },
  notes: `Makes a new release with build and config of vN, or of the one that was in service before the present one.
While a release is on its way through stages: takes that one back, without a new release.`,
  async run({ flags, args: [given], app, out, client }) {
    if (given !== undefined && !/^v?[1-9]\d{0,5}$/.test(given)) {
      throw new UsageError(`"${given}" is not a release`, "write v3; nines releases lists them");
    }
    const rollout = await askChange(client, path`/v1/apps/${app()}/rollback`, {
      method: "POST",
      json: given === undefined ? {} : { to: Number(given.replace("v", "")) },
    });
    if (rollout !== undefined) {
      return await watchRollout(client, out, rollout, { wait: isWaiting(flags), json: flags.json });
    }
    if (flags.json) out.json(null);
    else out.line(`${app()} runs that already`);
    return 0;
  },
});

function toState(out: Output, { state }: ReleaseReply): string {
  switch (state) {
    case "current":
      return out.paint("green", state);
    case "failed":
      return out.paint("red", state);
    case "pending":
      return out.paint("yellow", state);
    case "former":
      return out.paint("dim", state);
  }
}
