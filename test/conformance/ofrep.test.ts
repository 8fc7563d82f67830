/**
 * Every answer of ours against OFREP's own OpenAPI document, where NINES_CONFORMANCE_SUITES names a folder that has
 * `protocol` of open-feature. Three places of that document cannot be held as they are written:
 * - values: each matches the schema of code defaults too, and whole numbers match two, so one of several is any of them;
 * - reasons: DEFAULT is not among them, which flagd itself, and its suites, answer;
 * - 413, 405 and 503 are not in it.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { createOfrep, FlagEvents, openEvaluator } from "../../src/flags/flags.ts";

const file = join(process.env.NINES_CONFORMANCE_SUITES ?? "", "protocol", "service", "openapi.yaml");

const flags = {
  boolean: {
    state: "ENABLED",
    variants: { on: true, off: false },
    defaultVariant: "on",
    metadata: { a: "b", c: 1, d: true },
  },
  text: { state: "ENABLED", variants: { a: "x" }, defaultVariant: "a" },
  whole: { state: "ENABLED", variants: { a: 0 }, defaultVariant: "a" },
  broken: { state: "ENABLED", variants: { a: 0.5 }, defaultVariant: "a" },
  object: { state: "ENABLED", variants: { a: { b: [1, null] } }, defaultVariant: "a" },
  disabled: { state: "DISABLED", variants: { a: true }, defaultVariant: "a" },
  open: { state: "ENABLED", variants: { a: true } },
  lost: { state: "ENABLED", variants: { a: true }, targeting: { $ref: "nowhere" } },
  astray: { state: "ENABLED", variants: { a: true }, targeting: { if: [true, "b"] } },
  match: { state: "ENABLED", variants: { a: true }, targeting: { if: [{ var: "targetingKey" }, "a"] } },
} as const;

const bulk = "/ofrep/v1/evaluate/flags";
const context = { targetingKey: "ann" };
const requests: readonly (readonly [path: string, body: unknown, headers?: Record<string, string>])[] = [
  ...Object.keys(flags).map((key) => [`${bulk}/${key}`, { context }] as const),
  [`${bulk}/unknown`, { context }],
  [`${bulk}/boolean`, { context: [] }],
  [`${bulk}/boolean`, "{"],
  [`${bulk}/boolean`, { context }, { "x-api-key": "wrong" }],
  [bulk, { context }],
  [bulk, { context: {} }],
  [bulk, { context: { targetingKey: 7 } }],
  [bulk, { context }, { "if-none-match": "*" }],
  [bulk, { context }, { "x-api-key": "wrong" }],
  [bulk, { context }, { "x-api-key": "busy" }],
];

interface Document {
  readonly paths: Record<string, { readonly post: { readonly responses: Record<string, Described> } }>;
  readonly components: { readonly schemas: Record<string, unknown> };
}
interface Described {
  readonly content?: { readonly "application/json": { readonly schema: object } };
}

/** As it is, but for what is said above; references lead into one schema. */
function toSchema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toSchema);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
      if (key === "example" || key === "examples") return [];
      if (key === "$ref") return [[key, String(member).replace("#/components/schemas/", "#/$defs/")]];
      const values = key === "oneOf" && JSON.stringify(member).includes("codeDefaultFlag");
      if (values) return [["anyOf", toSchema(member)]];
      if (key === "enum" && (member as unknown[]).includes("STATIC"))
        return [[key, [...(member as unknown[]), "DEFAULT"]]];
      return [[key, toSchema(member)]];
    }),
  );
}

test.skipIf(!existsSync(file))("OFREP's OpenAPI document describes every answer", async () => {
  const document = parse(readFileSync(file, "utf8")) as Document;
  const $defs = toSchema(document.components.schemas) as object;
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  const evaluator = await openEvaluator();
  evaluator.load({ flags });
  const events = new FlagEvents();
  const ofrep = createOfrep({
    evaluator: () => evaluator,
    version: () => 1,
    authorize: (key) => (key === "wrong" ? undefined : { app: key }),
    eventsKey: () => "key",
    reach: async () => {},
    asked: () => {},
    events: (signal) => events.open(1, 1_771_622_898_000, signal),
  });
  const problems: string[] = [];
  const check = (what: string, schema: object, value: unknown) => {
    const validate = ajv.compile({ ...(toSchema(schema) as object), $defs });
    if (!validate(value))
      problems.push(`${what}: ${JSON.stringify(value)}: ${ajv.errorsText(validate.errors)}`);
  };
  for (const [path, body, headers] of requests) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const request = new Request(`http://localhost${path}`, {
      method: "POST",
      body: text,
      headers: { "x-api-key": "app", ...headers },
    });
    const response = await ofrep(request, (app) => app !== "busy");
    const { responses } = document.paths[path === bulk ? bulk : `${bulk}/{key}`]?.post ?? { responses: {} };
    const described = responses[String(response.status)];
    const what = `${path} ${text.slice(0, 40)} ${response.status}`;
    if (described === undefined) problems.push(`${what}: not in the document`);
    const schema = described?.content?.["application/json"].schema;
    if (schema !== undefined) check(what, schema, await response.json());
  }
  const gone = new AbortController();
  const read = await events.open(1, 1_771_622_898_000, gone.signal)?.getReader().read();
  const event = /data: (.*)/.exec(new TextDecoder().decode(read?.value))?.[1] ?? "";
  check("event", { $ref: "#/components/schemas/sseEventData" }, JSON.parse(event));
  gone.abort();
  console.log(`OFREP OpenAPI: ${requests.length + 1 - problems.length} of ${requests.length + 1} answers`);
  expect(problems).toEqual([]);
});
