/**
 * Suites for flags that others wrote, as data, where NINES_CONFORMANCE_SUITES names a folder that has them:
 * `flagd-testbed` and `flagd-schemas` of open-feature. Each scenario is asked twice: in process, as the SDK does it,
 * and over OFREP. Left out are the older and the newer way of splitting, and what is tagged as
 * deprecated.
 */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createOfrep,
  openEvaluator,
  parseDefinition,
  parseDocument,
  parseEvaluator,
} from "../../src/flags/flags.ts";
import { startFlags } from "../../src/sdk/flags.ts";
import type { FlagDetails } from "../../src/sdk/sdk.ts";
import type { FlagDocument } from "../../src/wire/flags.ts";
import { type Evaluate, play } from "./flag-steps.ts";
import { readFeature, type Scenario } from "./gherkin.ts";

const folder = process.env.NINES_CONFORMANCE_SUITES ?? "";
const testbed = join(folder, "flagd-testbed");
const schemas = join(folder, "flagd-schemas", "json", "test");
const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

const left = ["@fractional-v1", "@fractional-v3", "@deprecated"];

function scenarios(features: readonly string[]): readonly Scenario[] {
  return (
    features
      .flatMap((file) => readFeature(readFileSync(file, "utf8")))
      .filter(({ tags }) => !left.some((tag) => tags.includes(tag)))
      // Which of several sets of flags is meant: there is one here.
      .filter(({ steps }) => !steps.some(({ text }) => text.startsWith('an option "selector"')))
  );
}

/** Flags as they pass the check of what is written: their doubtful targeting with a warning. */
function documentOf(files: readonly string[]): FlagDocument {
  const documents = files.map((file) => parseDocument(json(file), { lax: true }).value);
  return {
    flags: Object.assign({}, ...documents.map(({ flags }) => flags)),
    $evaluators: Object.assign({}, ...documents.map(({ $evaluators }) => $evaluators)),
  };
}

async function score(name: string, cases: readonly Scenario[], evaluate: Evaluate): Promise<void> {
  const failures: string[] = [];
  for (const one of cases) {
    const failure = await play(one, evaluate);
    if (failure !== undefined) failures.push(failure);
  }
  console.log(`${name}: ${cases.length - failures.length} of ${cases.length} scenarios`);
  expect(failures).toEqual([]);
  expect(cases.length).toBeGreaterThan(0);
}

async function both(name: string, cases: readonly Scenario[], document: FlagDocument): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "nines-flags-"));
  try {
    const file = join(work, "flags.json");
    writeFileSync(file, JSON.stringify(document));
    const flags = await startFlags({ file, log: () => {}, report: undefined });
    await score(`${name}, in process`, cases, (key, fallback, context) =>
      flags.details(key, fallback, context),
    );
    await flags.close();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  await score(`${name}, over OFREP`, cases, await overOfrep(document));
}

/** A client that does what OFREP leaves to clients: types, and the default of the code where there is no value. */
async function overOfrep(document: FlagDocument): Promise<Evaluate> {
  const evaluator = await openEvaluator();
  evaluator.load(document);
  const ofrep = createOfrep({
    evaluator: () => evaluator,
    version: () => 1,
    authorize: () => ({ app: "suite" }),
    eventsKey: () => "",
    reach: async () => {},
    asked: () => {},
    events: () => undefined,
  });
  return async (key, fallback, context): Promise<FlagDetails<unknown>> => {
    const response = await ofrep(
      new Request(`http://localhost/ofrep/v1/evaluate/flags/${key}`, {
        method: "POST",
        headers: { "x-api-key": "any" },
        body: JSON.stringify({ context }),
      }),
      () => true,
    );
    const reply = (await response.json()) as Partial<FlagDetails<unknown>>;
    const found = { value: fallback, reason: "ERROR", metadata: {}, ...reply };
    if (reply.value === undefined || typeof reply.value === typeof fallback) return found;
    return { ...found, value: fallback, reason: "ERROR", errorCode: "TYPE_MISMATCH" };
  };
}

test.skipIf(!existsSync(testbed))("flagd-testbed: the evaluator's features", async () => {
  const at = join(testbed, "evaluator", "gherkin");
  const cases = scenarios(readdirSync(at).map((file) => join(at, file)));
  await both(
    "flagd-testbed evaluator",
    cases,
    documentOf([join(testbed, "evaluator/flags/testkit-flags.json")]),
  );
});

test.skipIf(!existsSync(testbed))(
  "flagd-testbed: what its features for providers say of evaluation",
  async () => {
    const features = ["evaluation", "targeting", "disabled"].map((name) =>
      join(testbed, "gherkin", `${name}.feature`),
    );
    const flags = readdirSync(join(testbed, "flags")).filter((file) => !file.startsWith("selector"));
    await both(
      "flagd-testbed providers",
      scenarios(features),
      documentOf(flags.map((file) => join(testbed, "flags", file))),
    );
  },
);

test.skipIf(!existsSync(schemas))("flagd-schemas: what is accepted and what is refused", () => {
  let agreed = 0;
  const differing: string[] = [];
  for (const kind of ["flags", "flagd", "targeting"]) {
    for (const verdict of ["positive", "negative"]) {
      for (const file of readdirSync(join(schemas, kind, verdict)).filter((name) => name.endsWith(".json"))) {
        const accepted = isAccepted(kind, json(join(schemas, kind, verdict, file)));
        if (accepted === (verdict === "positive")) agreed++;
        else differing.push(`${kind}/${verdict}/${file}`);
      }
    }
  }
  console.log(`flagd-schemas: ${agreed} of ${agreed + differing.length} files`);
  // A list of flags is the daemon's form, and ours; the schema for providers alone refuses it.
  expect(differing).toEqual(["flags/negative/with-array-flags.json"]);
});

function isAccepted(kind: string, value: unknown): boolean {
  try {
    if (kind === "targeting") {
      parseEvaluator("shared", value);
      parseDefinition("flag", { state: "ENABLED", variants: { on: true }, targeting: value });
    } else parseDocument(value);
    return true;
  } catch {
    return false;
  }
}
