/**
 * The stages in nines.yaml. A name alone is one of the stages that everybody has, or one without any rule:
 *
 *     stages:
 *       - internal
 *       - name: beta
 *         audience: {percent: 10, headers: {X-Beta: "1"}, cookies: {beta: yes}, users: [anna], addresses: [10.0.0.0/8]}
 *         share: 10%                # of the instances of each process type, at least one
 *         bake: 5m
 *         min_requests: 500
 *         deadline: 1h              # without a verdict by then it counts as failed
 *         asserts: [checkout-errors]
 *         on_failure: rollback      # or pause
 *       - all
 */

import { parseNetwork } from "../std/network.ts";
import { type Audience, everybody, type Passes, type Sticky } from "../wire/audience.ts";
import {
  assertsMax,
  defaultStage,
  defaultStages,
  type Stage,
  type StagePlan,
  stageNamePattern,
  stagesMax,
} from "../wire/stages.ts";
import type { Field } from "./yaml.ts";

const dayMs = 86_400_000;
const listMax = 1_000;

export function readStages(field: Field, sticky: Field | undefined): StagePlan | undefined {
  const items = field.list(stagesMax);
  if (items.length === 0) field.refuse("expected at least one stage");
  const names = new Set<string>();
  const stages = items.flatMap((item) => {
    const stage = item.isMap ? readStage(item) : readName(item);
    if (stage === undefined) return [];
    if (names.has(stage.name)) item.refuse(`there are two stages named "${stage.name}"`);
    names.add(stage.name);
    return [stage];
  });
  const from = sticky && readSticky(sticky);
  return { ...(from === undefined ? {} : { sticky: from }), stages };
}

function readName(item: Field): Stage | undefined {
  const known = defaultStages.map((stage) => stage.name);
  return item.check(`${known.join(", ")}, or a stage with a name`, (value) =>
    defaultStages.find((stage) => stage.name === value),
  );
}

function readStage(item: Field): Stage | undefined {
  const map = item.map([
    "name",
    "audience",
    "share",
    "bake",
    "min_requests",
    "deadline",
    "asserts",
    "on_failure",
  ]);
  if (map.name === undefined) return item.refuse('expected a "name", such as beta');
  const name = map.name.check("a name of small letters, digits and -", (value) =>
    typeof value === "string" && stageNamePattern.test(value) ? value : undefined,
  );
  if (name === undefined) return undefined;
  const base = defaultStages.find((stage) => stage.name === name) ?? {
    ...defaultStage,
    audience: everybody,
  };
  return {
    name,
    audience: (map.audience && readAudience(map.audience)) ?? base.audience,
    share: map.share?.check("a share of the instances, such as 10%", toPercent) ?? base.share,
    bakeMs: map.bake?.duration({ min: 0, max: 30 * dayMs }) ?? base.bakeMs,
    requestsMin: map.min_requests?.whole(0, 1e9) ?? base.requestsMin,
    deadlineMs: map.deadline?.duration({ min: 1_000, max: 30 * dayMs }) ?? base.deadlineMs,
    asserts: map.asserts === undefined ? base.asserts : readTexts(map.asserts, "an assert", assertsMax),
    onFailure:
      map.on_failure?.check("rollback or pause", (value) =>
        value === "rollback" || value === "pause" ? value : undefined,
      ) ?? base.onFailure,
  };
}

function readAudience(field: Field): Audience {
  const map = field.map(["percent", "headers", "cookies", "users", "addresses"]);
  const addresses = map.addresses
    ?.list(listMax)
    .flatMap(
      (item) =>
        item.check("a range such as 10.0.0.0/8", (value) =>
          typeof value === "string" && parseNetwork(value) !== undefined ? value : undefined,
        ) ?? [],
    );
  return {
    ...(map.headers && { headers: readPasses(map.headers, true) }),
    ...(map.cookies && { cookies: readPasses(map.cookies, false) }),
    ...(map.users && { users: readTexts(map.users, "a user", listMax) }),
    ...(addresses && { addresses }),
    percent: map.percent?.check("a share such as 10 or 0.5, from 0 to 100", toPercent) ?? 0,
  };
}

function readPasses(field: Field, isHeaders: boolean): Passes {
  const found: Record<string, readonly string[]> = {};
  for (const [name, values] of field.entries("the name of a header or a cookie")) {
    const list = values.isList ? readTexts(values, "a value", listMax) : [values.string("a value") ?? ""];
    found[isHeaders ? name.toLowerCase() : name] = list;
  }
  return found;
}

function readSticky(field: Field): Sticky | undefined {
  const map = field.map(["header", "cookie"]);
  if ((map.header === undefined) === (map.cookie === undefined)) {
    return field.refuse("expected a header or a cookie, such as {cookie: sid}");
  }
  const kind = map.header === undefined ? "cookie" : "header";
  const name = (map.header ?? map.cookie)?.check("a name", (value) =>
    typeof value === "string" && /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(value) ? value : undefined,
  );
  if (name === undefined) return undefined;
  return { kind, name: kind === "header" ? name.toLowerCase() : name };
}

function readTexts(field: Field, expected: string, max: number): readonly string[] {
  return field.list(max).flatMap((item) => item.string(expected) ?? []);
}

function toPercent(value: unknown): number | undefined {
  const [, digits] = /^(\d{1,3}(?:\.\d{1,2})?)\s*%?$/.exec(String(value)) ?? [];
  const percent = digits === undefined ? Number.NaN : Number(digits);
  return percent >= 0 && percent <= 100 ? percent : undefined;
}
