/** Reads the part of Gherkin that the suites for flags use: backgrounds, outlines with examples, tags, tables. */

export interface Step {
  readonly text: string;
  readonly table: readonly (readonly string[])[];
}

export interface Scenario {
  readonly name: string;
  /** Its own, the feature's and its examples'. */
  readonly tags: readonly string[];
  readonly steps: readonly Step[];
}

interface Draft {
  readonly name: string;
  readonly tags: readonly string[];
  readonly steps: { text: string; table: string[][] }[];
  readonly examples: { tags: readonly string[]; rows: string[][] }[];
}

export function readFeature(text: string): readonly Scenario[] {
  const drafts: Draft[] = [];
  const background: Draft = { name: "", tags: [], steps: [], examples: [] };
  let feature: readonly string[] = [];
  let tags: string[] = [];
  let current: Draft | undefined;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    const [, word = "", rest = ""] =
      /^(Feature|Background|Scenario Outline|Scenario|Examples|Given|When|Then|And|But):?\s*(.*)$/.exec(
        line,
      ) ?? [];
    if (line.startsWith("@")) tags.push(...line.split(/\s+/));
    else if (line.startsWith("|")) {
      const row = line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim());
      const examples = current?.examples.at(-1);
      (examples?.rows ?? current?.steps.at(-1)?.table)?.push(row);
    } else if (word === "Feature") [feature, tags] = [tags, []];
    else if (word === "Background") current = background;
    else if (word.startsWith("Scenario")) {
      drafts.push((current = { name: rest, tags, steps: [], examples: [] }));
      tags = [];
    } else if (word === "Examples") {
      current?.examples.push({ tags, rows: [] });
      tags = [];
    } else if (word !== "") current?.steps.push({ text: rest, table: [] });
  }
  return drafts.flatMap((draft) =>
    unfold(draft, [...background.steps, ...draft.steps], [...feature, ...draft.tags]),
  );
}

/** One scenario for each row of its examples. */
function unfold(draft: Draft, steps: readonly Step[], tags: readonly string[]): readonly Scenario[] {
  if (draft.examples.length === 0) return [{ name: draft.name, tags, steps }];
  return draft.examples.flatMap(({ tags: own, rows: [head = [], ...rows] }) =>
    rows.map((row) => {
      const fill = (text: string) =>
        head.reduce((filled, name, at) => filled.replaceAll(`<${name}>`, row[at] ?? ""), text);
      return {
        name: `${draft.name}: ${row.join(" | ")}`,
        tags: [...tags, ...own],
        steps: steps.map((step) => ({
          text: fill(step.text),
          table: step.table.map((line) => line.map(fill)),
        })),
      };
    }),
  );
}
