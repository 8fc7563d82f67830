/** Which promises held. Pure: from what the checkers found to a line that names every broken one. */
import type { Deed } from "./deed.ts";
import type { Flags } from "./model/flags.ts";
import type { Leak } from "./model/leaks.ts";
import type { Messages } from "./model/messages.ts";
import type { checkOverload } from "./model/overload.ts";
import { near, type Requests, toFailureLine } from "./model/requests.ts";
import type { Writes } from "./model/writes.ts";

export interface Findings {
  readonly requests: Requests;
  readonly slow: readonly string[];
  readonly slowReads: number;
  readonly posts: { readonly lost: readonly string[]; readonly twice: readonly string[] };
  readonly messages: Messages;
  readonly writes: Writes;
  readonly flags: Flags;
  readonly overload: ReturnType<typeof checkOverload>;
  readonly deeds: readonly Deed[];
  readonly leaks: readonly Leak[];
  /** What was still running, or bound, after the end. */
  readonly left: readonly string[];
}

export interface Claim {
  /** A short name: what the verdict line says. */
  readonly name: string;
  readonly sentence: string;
  /** What breaks it, an example a line; empty when it held. */
  readonly broken: readonly string[];
}

export interface Verdict {
  readonly held: boolean;
  readonly line: string;
  readonly claims: readonly Claim[];
}

export function toVerdict(found: Findings): Verdict {
  const { requests, posts, messages, writes, flags, deeds } = found;
  const failures = deeds.filter((deed) => deed.failure !== undefined);
  const isChange = (deed: Deed) =>
    /^(deploy|deploy-slow|rollback|scale|config|flag|valve|restart-app)$/.test(deed.kind);
  const toLine = (deed: Deed) => `step ${deed.index}, ${deed.kind}: ${deed.failure}`;
  const claims: Claim[] = [
    {
      name: "requests failed",
      sentence:
        "No request fails but those inside a killed router, and those unsafe to repeat inside a killed instance.",
      broken: requests.unexcused.map((failure) => toFailureLine(failure, deeds)),
    },
    {
      name: "answers mixed up",
      sentence: "Each answer belongs to its request.",
      broken: requests.wrong.map((failure) => toFailureLine(failure, deeds)),
    },
    {
      name: "POSTs lost or repeated",
      sentence: "A POST that was answered ran, and none ran twice.",
      broken: [
        ...posts.lost.map((id) => `${id} was answered and never ran`),
        ...posts.twice.map((id) => `${id} ran more than once`),
      ],
    },
    {
      name: "WebSockets cut",
      sentence: "A WebSocket ends by a goodbye, or with the process that it went through.",
      broken: requests.unexcusedCuts,
    },
    {
      name: "slow clients cut",
      sentence: "A client that reads slowly gets its whole answer.",
      broken: found.slow,
    },
    {
      name: "messages lost",
      sentence: "Every acked message is delivered.",
      broken: [...messages.lost, ...messages.strange.map((id) => `${id} was heard, and nobody published it`)],
    },
    {
      name: "messages out of order",
      sentence: "Messages of one sender come in order from each broker.",
      broken: messages.outOfOrder,
    },
    {
      name: "messages refused",
      sentence: "A publish is acked while a broker lives, or comes back before its deadline.",
      broken: messages.unacked.map(({ lane, n, at, why }) => `${lane}/${n}: ${why}${near(at, deeds)}`),
    },
    {
      name: "writes refused",
      sentence: "A write is accepted, by the database or, while that is away, by the disk.",
      broken: writes.refused,
    },
    {
      name: "two relays at once",
      sentence: "One relay at a time delivers to a target.",
      broken: writes.unfenced,
    },
    { name: "writes lost", sentence: "Every accepted write is delivered.", broken: writes.lost },
    { name: "writes repeated", sentence: "A write has its effect once, by its key.", broken: writes.twice },
    { name: "writes out of order", sentence: "Writes of one key come in order.", broken: writes.outOfOrder },
    {
      name: "flags silent or late",
      sentence: "A flag is always answered, and its newest value comes within 5 s.",
      broken: [
        ...(flags.unanswered > 0 ? [`${flags.unanswered} of ${flags.asked} reads were not answered`] : []),
        ...flags.late,
      ],
    },
    {
      name: "overload felt",
      sentence:
        "Ten times the load is shed with 503; the admitted take at most twice as long, and 5 s later all is as before.",
      broken: found.overload.broken,
    },
    {
      name: "changes failed",
      sentence: "A change that finds the platform whole succeeds, and is live when it says so.",
      broken: failures.filter(isChange).map(toLine),
    },
    {
      name: "not back by itself",
      sentence: "Everything comes back by itself.",
      broken: failures.filter((deed) => !isChange(deed)).map(toLine),
    },
    {
      name: "bystanders restarted",
      sentence: "Nobody is restarted but those who were hit.",
      broken: deeds
        .filter((deed) => deed.restarted.length > 0)
        .map(
          (deed) =>
            `step ${deed.index}, ${deed.kind} of ${deed.targets.join(", ")}: ${deed.restarted.join(", ")}`,
        ),
    },
    {
      name: "not flat",
      sentence: "Memory, descriptors, processes, temporary files, journals and tables stay what they were.",
      broken: found.leaks
        .filter((leak) => !leak.isFlat)
        .map(
          (leak) => `${leak.what}: ${Math.round(leak.before)} at first, ${Math.round(leak.after)} in the end`,
        ),
    },
    { name: "left behind", sentence: "After nines down nothing is left.", broken: found.left },
  ];
  const broken = claims.filter((claim) => claim.broken.length > 0);
  return {
    held: broken.length === 0,
    line:
      broken.length === 0
        ? `every promise held (${claims.length} of ${claims.length})`
        : `${broken.length} of ${claims.length} promises broken: ${broken.map((claim) => `${claim.name} (${claim.broken.length})`).join(", ")}`,
    claims,
  };
}
