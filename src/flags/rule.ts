/** What can be read out of a rule (JSONLogic) without running it; pure. */
import type { Json } from "../wire/flags.ts";

/** Names of the shared evaluators that it refers to. */
export function referencesOf(value: Json | undefined, found: Set<string> = new Set()): ReadonlySet<string> {
  if (Array.isArray(value)) for (const one of value) referencesOf(one, found);
  else if (isRule(value)) {
    for (const [name, member] of Object.entries(value)) {
      if (name === "$ref" && typeof member === "string") found.add(member);
      else referencesOf(member, found);
    }
  }
  return found;
}

/** What stands behind each `$ref`, in its place; references inside evaluators too, as deep as they go. */
export function resolveReferences(
  value: Json,
  evaluators: Readonly<Record<string, Json>>,
  within: readonly string[] = [],
): Json {
  if (Array.isArray(value)) return value.map((one) => resolveReferences(one, evaluators, within));
  if (!isRule(value)) return value;
  const name = value.$ref;
  if (typeof name === "string" && Object.keys(value).length === 1) {
    const rule = Object.hasOwn(evaluators, name) && !within.includes(name) ? evaluators[name] : undefined;
    return rule === undefined ? value : resolveReferences(rule, evaluators, [...within, name]);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      member === undefined ? null : resolveReferences(member, evaluators, within),
    ]),
  );
}

/**
 * Members of the context that the outcome depends upon, when it depends on nothing else: neither on time nor on
 * members of members. Undefined when that cannot be told; the outcome must not be remembered then.
 */
export function inputsOf(value: Json, found: Set<string> = new Set()): ReadonlySet<string> | undefined {
  if (Array.isArray(value))
    return value.every((one) => inputsOf(one, found) !== undefined) ? found : undefined;
  if (!isRule(value)) return found;
  for (const [name, member] of Object.entries(value)) {
    if (["map", "filter", "all", "none", "some", "reduce", "missing", "missing_some", "$ref"].includes(name))
      return undefined;
    if (name === "var") {
      if (member === "$flagd.flagKey") continue;
      const variable = Array.isArray(member) && member.length === 1 ? member[0] : member;
      if (typeof variable !== "string" || variable === "" || /[.\\]/.test(variable)) return undefined;
      found.add(variable);
    } else {
      // Without a key of its own it splits by the targeting key.
      if (name === "fractional" && Array.isArray(member) && Array.isArray(member[0]))
        found.add("targetingKey");
      if (member !== undefined && inputsOf(member, found) === undefined) return undefined;
    }
  }
  return found;
}

/**
 * Every share that is by the flag's and the user's key is by this member of the context instead. The core hashes
 * UTF-16 units where the specification, and so the routers and flagd in every other language, hash UTF-8 bytes.
 */
export function splitBy(value: Json, member: string): Json {
  if (Array.isArray(value)) return value.map((one) => splitBy(one, member));
  if (!isRule(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, given = null]) => {
      const argument = splitBy(given, member);
      const own = name === "fractional" && Array.isArray(argument) && Array.isArray(argument[0]);
      return [name, own ? [{ var: member }, ...argument] : argument];
    }),
  );
}

export function isRule(value: unknown): value is Readonly<Record<string, Json | undefined>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const depthMax = 64;

/** How deep it is, counted no further than just beyond `max`. */
export function depthOf(value: unknown, max: number): number {
  if (typeof value !== "object" || value === null) return 0;
  let deepest = 0;
  // Its own stack, as what is too deep would break the one of the process.
  const open: [object, number][] = [[value, 1]];
  for (let next = open.pop(); next !== undefined && deepest <= max; next = open.pop()) {
    deepest = Math.max(deepest, next[1]);
    for (const member of Object.values(next[0])) {
      if (typeof member === "object" && member !== null) open.push([member, next[1] + 1]);
    }
  }
  return deepest;
}

export function describe(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 60);
}
