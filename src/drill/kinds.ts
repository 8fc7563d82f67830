/** Everything that a drill does to a platform, by name, and what each may cost. */
import {
  agent,
  both,
  broker,
  brokers,
  controller,
  controllers,
  heart,
  instance,
  kernel,
  postgres,
  relay,
  relays,
  router,
  type Victim,
  worker,
} from "./victims.ts";

export const groups = [
  "kill",
  "several",
  "stop",
  "pause",
  "restart",
  "away",
  "change",
  "postgres",
  "target",
  "load",
  "cold",
  "cut",
  "scarce",
  "clock",
  "disk",
] as const;
export type Group = (typeof groups)[number];

export interface Kind {
  readonly name: string;
  readonly group: Group;
  /** In one sentence, for the report. */
  readonly what: string;
  readonly costs: Victim["costs"] | "everything";
  readonly victim?: Victim;
  /** What the schedule gives it until the next step. */
  readonly lastsMs: number;
  /** How long the fault itself lasts: from, to. */
  readonly forMs?: readonly [number, number];
  /** Between one kind of victim and the next. */
  readonly staggerMs?: number;
  /** Needs a guard above kernel and heart, which a platform that was found running may not have. */
  readonly needsGuard?: boolean;
  /** What the machine has to offer for it, beside the platform. */
  readonly needs?: Need;
}

/** `clocks` and `disk` are of a platform that the drill itself has started. */
export type Need = "firewall" | "limits" | "memory" | "clocks" | "disk";

const single = [instance, router, broker, controller, relay, agent, kernel, heart];
const slug = (victim: Victim) => victim.name.replace(/\b(all|both) /g, "").replaceAll(" + ", "-");

const killed = (victim: Victim, group: Group = "kill"): Kind => ({
  name: `kill-${slug(victim)}`,
  group,
  what: `${victim.name}, killed${group === "several" ? " together" : ""} with SIGKILL`,
  costs: victim.costs,
  victim,
  lastsMs: 2_500,
  ...(/kernel/.test(victim.name) && /heart/.test(victim.name) ? { needsGuard: true } : {}),
});
const stopped = (victim: Victim): Kind => ({
  name: `stop-${slug(victim)}`,
  group: "stop",
  what: `${victim.name}, stopped with SIGSTOP until it is replaced`,
  costs: victim.costs,
  victim,
  lastsMs: 6_000,
});
const paused = (victim: Victim): Kind => ({
  name: `pause-${slug(victim)}`,
  group: "pause",
  what: `${victim.name}, stopped for a moment (SIGSTOP, SIGCONT)`,
  costs: "nothing",
  victim,
  lastsMs: 2_500,
  forMs: [200, 900],
});
const restarted = (victim: Victim): Kind => ({
  name: `restart-${slug(victim)}`,
  group: "restart",
  what: `${victim.name}, restarted in order`,
  costs: "nothing",
  victim,
  lastsMs: victim === router ? 6_000 : 4_000,
});
/** Longer than any client waits: what depends on them fails. */
const away = (victim: Victim, name: string): Kind => ({
  name: `away-${slug(victim)}`,
  group: "away",
  what: `${name}, taken away for a while`,
  costs: "nothing",
  victim,
  lastsMs: 17_000,
  forMs: [12_000, 13_000],
});
const without = (victim: Victim): Kind => ({
  name: `scarce-${slug(victim)}`,
  group: "scarce",
  what: `${victim.name}, without another descriptor for a while`,
  costs: "nothing",
  victim,
  lastsMs: 7_000,
  forMs: [2_500, 3_500],
  needs: "limits",
});
const starved = (victim: Victim): Kind => ({
  name: `scarce-memory-${slug(victim)}`,
  group: "scarce",
  what: `${victim.name}, with little more memory than it has, and killed by the kernel when it wants it`,
  costs: victim.costs,
  victim,
  lastsMs: 7_000,
  forMs: [2_500, 3_500],
  needs: "memory",
});
const stepped = (victim: Victim): Kind => ({
  name: `clock-${slug(victim)}`,
  group: "clock",
  what: `the clock of ${victim.name}, stepped, and set right again`,
  costs: "nothing",
  victim,
  lastsMs: 7_000,
  forMs: [3_000, 4_000],
  needs: "clocks",
});
const cutOff = (victim: Victim, name: string, forMs: readonly [number, number]): Kind => ({
  name: `cut-${slug(victim)}`,
  group: "cut",
  what: `${name}, cut off: connected to all, and nothing comes through`,
  costs: "nothing",
  victim,
  lastsMs: forMs[1] + 4_000,
  forMs,
  needs: "firewall",
});
const plain = (
  name: string,
  group: Group,
  what: string,
  lastsMs: number,
  rest: Partial<Kind> = {},
): Kind => ({
  name,
  group,
  what,
  costs: "nothing",
  lastsMs,
  ...rest,
});

export const kinds: readonly Kind[] = [
  ...[...single, brokers, controllers, relays].map((victim) => killed(victim)),
  ...[
    both(instance, agent),
    both(router, broker),
    both(router, kernel),
    both(agent, kernel),
    both(kernel, heart),
    both(controller, relay),
    both(controllers, postgres),
    both(brokers, relays),
    both(both(instance, router), broker),
    both(both(controllers, relays), postgres),
  ].map((victim) => killed(victim, "several")),
  { ...killed(both(worker, brokers), "several"), staggerMs: 250 },
  ...single.map(stopped),
  ...single.map(paused),
  ...[router, broker, controller, relay, agent].map(restarted),
  plain("restart-app", "restart", "every instance of the app, restarted in order", 8_000),
  plain("deploy", "change", "a deploy of a new build", 8_000),
  plain("deploy-slow", "change", "a deploy of a build that takes ten seconds to boot", 18_000),
  plain("rollback", "change", "a rollback to the release before", 8_000),
  plain("scale", "change", "the app scaled to another number of instances", 6_000),
  plain("config", "change", "a change of the app's config", 8_000),
  plain("flag", "change", "a flag set to another value", 1_500),
  plain("valve", "change", "a valve turned", 1_500),
  away(brokers, "all brokers"),
  away(controllers, "both controllers"),
  away(postgres, "PostgreSQL"),
  { ...killed(postgres, "postgres"), what: "PostgreSQL, killed with SIGKILL" },
  { ...restarted(postgres), group: "postgres", what: "PostgreSQL, restarted in order" },
  plain("cut-postgres", "postgres", "every connection of PostgreSQL, cut", 2_500),
  plain("target-down", "target", "the service that writes are for, down", 6_000, { forMs: [1_000, 4_000] }),
  plain("target-slow", "target", "the service that writes are for, slow", 4_000, { forMs: [1_000, 3_000] }),
  plain("overload", "load", "ten times the load for a minute", 72_000, { forMs: [60_000, 60_001] }),
  plain("cold", "cold", "everything killed at once: a cold start", 10_000, {
    costs: "everything",
    needsGuard: true,
  }),
  cutOff(broker, "a broker", [4_000, 6_000]),
  cutOff(brokers, "all brokers", [8_000, 10_000]),
  ...[router, broker, controller, relay, agent, kernel].map(without),
  ...[broker, controller, relay, agent].map(starved),
  ...[router, broker, controller, relay, agent, kernel, heart].map(stepped),
  plain("disk-full", "disk", "no room on the disk of the home", 25_000, {
    forMs: [10_000, 12_000],
    needs: "disk",
  }),
];

/** Kinds by names of kinds or groups, comma-separated; the words that are neither. */
export function chooseKinds(words: readonly string[]): {
  readonly chosen: readonly Kind[];
  readonly unknown: readonly string[];
} {
  const isMeant = (kind: Kind, word: string) => kind.name === word || kind.group === word;
  return {
    chosen: kinds.filter((kind) => words.some((word) => isMeant(kind, word))),
    unknown: words.filter((word) => !kinds.some((kind) => isMeant(kind, word))),
  };
}
