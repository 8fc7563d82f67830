import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { traps, vegur } from "./ledger.ts";

for (const [suite, cases] of Object.entries({ traps, ...vegur })) {
  test(`every case of ${suite} is tested where the ledger says`, () => {
    for (const [name, where] of Object.entries(cases)) {
      if (typeof where === "string") continue;
      const [file, words] = where;
      expect(readFileSync(file, "utf8").includes(words), `${suite}.${name}: "${words}" in ${file}`).toBe(
        true,
      );
    }
  });
}
