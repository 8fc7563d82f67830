/** The steps of flagd's own suites, against whatever evaluates flags. */
import type { FlagDetails } from "../../src/sdk/sdk.ts";
import type { Scenario } from "./gherkin.ts";

export type Evaluate = (
  key: string,
  fallback: unknown,
  context: Readonly<Record<string, unknown>>,
) => FlagDetails<unknown> | Promise<FlagDetails<unknown>>;

/** What went wrong; undefined when it passed, `unknown` with a step that is about something else. */
export async function play(scenario: Scenario, evaluate: Evaluate): Promise<string | undefined> {
  let flag: { key: string; type: string; fallback: unknown } | undefined;
  let details: FlagDetails<unknown> | undefined;
  const context: Record<string, unknown> = {};
  for (const { text, table } of scenario.steps) {
    const [a = "", b = "", c = ""] = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, value]) => value);
    if (/^(an evaluator|a stable flagd provider|an option "cache")/.test(text)) continue;
    if (/-flag with key/.test(text)) {
      const type = text.match(/^an? (\w+)-flag/)?.[1] ?? "";
      flag = { key: a, type, fallback: toValue(type, b) };
    } else if (/^a context containing a key/.test(text)) context[a] = toValue(b, c);
    else if (/^a context containing a nested property/.test(text)) context[a] = { [b]: c };
    else if (/^a context containing a targeting key/.test(text)) context.targetingKey = a;
    else if (/^the flag was evaluated with details/.test(text)) {
      details = await evaluate(flag?.key ?? "", flag?.fallback, context);
    } else {
      const problem = judge(text, a, table, flag?.type ?? "", details);
      if (problem !== undefined) return `${scenario.name}: ${problem}`;
    }
  }
  return details === undefined ? `${scenario.name}: unknown: nothing was evaluated` : undefined;
}

function judge(
  text: string,
  wanted: string,
  table: readonly (readonly string[])[],
  type: string,
  details: FlagDetails<unknown> | undefined,
): string | undefined {
  const say = (expected: unknown, found: unknown) =>
    Bun.deepEquals(expected, found)
      ? undefined
      : `${text}: found ${JSON.stringify(found)} in ${JSON.stringify(details)}`;
  if (/^the resolved details value should be/.test(text)) return say(toValue(type, wanted), details?.value);
  if (/^the reason should be/.test(text)) return say(wanted, details?.reason);
  if (/^the error-code should be/.test(text)) return say(wanted, details?.errorCode ?? "");
  if (/^the resolved metadata is empty/.test(text)) return say({}, details?.metadata);
  if (/^the resolved metadata should contain/.test(text)) {
    const expected = table
      .slice(1)
      .map(([key = "", kind = "", value = ""]) => [key, toValue(kind, value)] as const);
    return say(Object.fromEntries(expected), details?.metadata);
  }
  return `unknown step: ${text}`;
}

function toValue(type: string, text: string): unknown {
  switch (type.toLowerCase()) {
    case "boolean":
      return text === "true";
    case "integer":
    case "float":
      return Number(text);
    case "object":
      return JSON.parse(text.replaceAll('\\"', '"'));
    default:
      return text;
  }
}
